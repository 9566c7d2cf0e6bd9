"""A weight for each of 5,000 training images, half of whose labels are wrong: which are found?

The question of Franceschi et al. 2017 (section 5.1), on the Fashion-MNIST that ships with this
package. Reverse mode: a sweep costs the same for 5,000 hyperparameters as for one.
"""

from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.engine import Reverse, Splits, run
from glocal_exp.methods.local import Local
from glocal_exp.problems import OwnProblem
from glocal_exp.types import InnerState


class Cleaning(OwnProblem):
    """Training: softmax regression, cross entropies weighted. Validation: their plain mean.

    By gradient descent on all training images at once.
    """

    train: int = 5000
    wrong: float = 0.5  # share of the training labels that are another one
    learning_rate: float = 0.1

    def examples(self, seed):
        """A thousand images for validation; no loss looks at the true labels of the others."""
        file = resources.files("glocal_exp.data") / "bundled" / "fmnist.npz"
        with file.open("rb") as opened, np.load(opened) as images:
            named = {name: images[name] for name in images}
        rng = np.random.default_rng(seed)
        order, shift = rng.permutation(len(named["train_labels"])), rng.integers(1, 10, self.train)
        shift *= rng.permutation(self.train) < self.wrong * self.train

        def part(split, chosen):
            x, y = named[f"{split}_images"][chosen], named[f"{split}_labels"][chosen]
            return {"x": x.reshape(len(x), -1).astype(np.float32) / 255, "y": y.astype(int)}

        train = part("train", order[: self.train])
        train |= {"number": np.arange(self.train), "true": train["y"]}
        train["y"] = (train["y"] + shift) % 10
        validation = part("train", order[self.train : self.train + 1000])
        return Splits(train, validation, part("test", slice(None)))

    def init(self, key):
        state = InnerState(jnp.zeros((785, 10)), (), jnp.zeros((), int))
        return state, {"weight": jnp.zeros(self.train)}

    def step(self, state, phi, batch, key):
        weights = jax.nn.sigmoid(phi["weight"][batch["number"]])

        def loss(w):
            return jnp.mean(weights * self.losses(w, batch))

        value, gradient = jax.value_and_grad(loss)(state.params)
        w = state.params - self.learning_rate * gradient
        return InnerState(w, (), state.step + 1), value

    def meta_loss(self, state, phi, batch):
        return jnp.mean(self.losses(state.params, batch))

    def metrics(self, state, batch):
        hits = jnp.argmax(self.logits(state.params, batch), axis=1) == batch["y"]
        return {"loss": jnp.mean(self.losses(state.params, batch)), "accuracy": jnp.mean(hits)}

    def describe(self, phi):
        return {"weight": jax.nn.sigmoid(phi["weight"])}

    def losses(self, w, batch):
        return -jax.nn.log_softmax(self.logits(w, batch))[jnp.arange(len(batch["y"])), batch["y"]]

    def logits(self, w, batch):
        return batch["x"] @ w[:-1] + w[-1]


def found(weights, train):
    """Of the wrong labels the share with a weight below 1/2, and of these the share of wrong."""
    low, wrong = np.asarray(weights) < 0.5, train["y"] != train["true"]
    return low[wrong].mean(), wrong[low].mean()


def main(steps=1000, problem=None):
    """The two shares, and test accuracy, after training with weights that are learned."""
    splits = (problem := problem or Cleaning()).examples(0)
    settings = {"steps": steps, "interval": 20, "batch_size": problem.train, "eval_every": steps}
    loop = run(problem, splits, Local(), mode=Reverse(), **settings)
    *_, last = loop
    shares = found(problem.describe(loop.hyperparams[0])["weight"], splits.train)
    result = *shares, last.metrics["test_accuracy"]
    print("found {:.1%} of the wrong labels, precision {:.1%}, accuracy {:.1%}".format(*result))
    return result


if __name__ == "__main__":
    main()
