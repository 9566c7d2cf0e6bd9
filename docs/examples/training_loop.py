"""Tuner in a training loop of one's own: Fashion-MNIST, a network of optax's, batches by hand."""

from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.glocal import Glocal
from glocal_exp.tuner import Tuner
from glocal_exp.types import InnerProblem, InnerState


class Perceptron(InnerProblem):
    """One hidden layer; phi holds the logarithms of SGD's learning rate and weight decay."""

    def init(self, key):
        first, second = jax.random.split(key)
        w = [jax.random.normal(first, (784, 64)) / 28, jax.random.normal(second, (64, 10)) / 8]
        phi = {"rate": jnp.log(0.01), "decay": jnp.log(1e-3)}
        return InnerState(w, self.rule(phi).init(w), jnp.zeros((), int)), phi

    def step(self, state, phi, batch, key):
        loss, gradient = jax.value_and_grad(self.loss)(state.params, batch)
        updates, rule_state = self.rule(phi).update(gradient, state.opt_state, state.params)
        w = optax.apply_updates(state.params, updates)
        return InnerState(w, rule_state, state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        return self.loss(state.params, batch)

    def describe(self, phi):
        return jax.tree.map(jnp.exp, phi)

    def rule(self, phi):
        decay = optax.add_decayed_weights(jnp.exp(phi["decay"]))
        return optax.chain(decay, optax.sgd(jnp.exp(phi["rate"])))

    def loss(self, w, batch):
        losses = optax.softmax_cross_entropy_with_integer_labels(self.logits(w, batch), batch["y"])
        return jnp.mean(losses)

    def logits(self, w, batch):
        return jnp.tanh(batch["x"] @ w[0]) @ w[1]


def images():
    """Of the embedded images: 5,000 for training, 1,000 for validation, 1,000 for testing."""
    file = resources.files("glocal_exp.data") / "bundled" / "fmnist.npz"
    with file.open("rb") as opened, np.load(opened) as found:
        x = {n: (found[f"{n}_images"].reshape(-1, 784) / 255 - 0.286) / 0.353 for n in SPLITS}
        y = {name: found[f"{name}_labels"].astype(np.int32) for name in SPLITS}
    train, test = ({"x": x[n].astype(np.float32), "y": y[n]} for n in SPLITS)
    order = np.random.default_rng(0).permutation(6000)
    return *({n: v[part] for n, v in train.items()} for part in (order[:5000], order[5000:])), test


SPLITS = ("train", "test")
DMD, READING = HankelDMD(), SteadyStateEstimator()
GLOCAL = Glocal(window=80, delays=10, stride=4, dmd=DMD, steady_state=READING)


def batches(train, seed, size=128):
    """Without end."""
    rng = np.random.default_rng(seed)
    while True:
        chosen = rng.choice(len(train["y"]), size, replace=False)
        yield {name: values[chosen] for name, values in train.items()}


def main(method=GLOCAL, steps=2000, seed=0, **settings):
    """Train and tune; the last state's test accuracy and hyperparameters."""
    problem, (train, validation, test) = Perceptron(), images()
    tuner = Tuner(problem, method, optax.adam(0.1), interval=100, steps=steps, **settings)
    state = tuner.init(jax.random.key(seed))
    for step, batch in zip(range(1, steps + 1), batches(train, seed), strict=False):
        state = tuner.step(state, batch)
        if step % 100 == 0:
            state = tuner.update(state, validation)
            print(step, float(state.loss), problem.describe(state.phi))
    right = jnp.argmax(problem.logits(state.inner.params, test), axis=1) == test["y"]
    return float(jnp.mean(right)), problem.describe(state.phi)


if __name__ == "__main__":
    print(main()[0])
