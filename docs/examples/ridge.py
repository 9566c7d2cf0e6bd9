"""Ridge regression with one penalty on scikit-learn's diabetes data; the optimum in closed form.

python -m docs.examples.ridge trains, stores and compares; from the command line the same problem is
python scripts/train.py problem=docs.examples.ridge.Ridge batch_size=200 ... (README.md has more).
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_diabetes

from glocal_exp.app.own import run
from glocal_exp.engine import Splits
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.glocal import Glocal
from glocal_exp.problems import OwnProblem
from glocal_exp.types import InnerState

TRAIN, VALIDATION = 60, 160  # patients of 442, the rest for testing: few enough for a penalty


class Ridge(OwnProblem):
    """Training: |Xw - y|^2 / n + penalty |w|^2 by gradient descent. Validation: the error alone.

    Attributes:
        penalty: at the start.
        learning_rate: of the descent.
    """

    penalty: float = 1.0
    learning_rate: float = 0.1

    def examples(self, seed):
        """Patients in a random order; features and progression in standard deviations."""
        x, y = load_diabetes(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(y))
        x, y = x[order] * np.sqrt(len(y)), (y[order] - y.mean()) / y.std()
        ends = [slice(0, TRAIN), slice(TRAIN, TRAIN + VALIDATION), slice(TRAIN + VALIDATION, None)]
        return Splits(*({"x": x[part], "y": y[part]} for part in ends))

    def init(self, key):
        phi = {"log_penalty": jnp.log(jnp.asarray(self.penalty))}
        return InnerState(jnp.zeros(10), (), jnp.zeros((), int)), phi

    def step(self, state, phi, batch, key):
        def loss(w):
            return self.error(w, batch) + jnp.exp(phi["log_penalty"]) * jnp.sum(w**2)

        value, gradient = jax.value_and_grad(loss)(state.params)
        w = state.params - self.learning_rate * gradient
        return InnerState(w, (), state.step + 1), value

    def meta_loss(self, state, phi, batch):
        return self.error(state.params, batch)

    def metrics(self, state, batch):
        return {"loss": self.error(state.params, batch)}

    def describe(self, phi):
        return {"penalty": jnp.exp(phi["log_penalty"])}

    def error(self, w, batch):
        return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


def best_penalty(splits):
    """Where the validation error of the exact solution is least, of 2,000 penalties; the error."""
    train, validation = splits.train, splits.validation
    gram, moment = (train["x"].T @ train[name] / TRAIN for name in ("x", "y"))
    penalties = np.exp(np.linspace(-7, 2, 2000))
    solutions = [np.linalg.solve(gram + p * np.eye(10), moment) for p in penalties]
    errors = [np.mean((validation["x"] @ w - validation["y"]) ** 2) for w in solutions]
    return penalties[np.argmin(errors)], min(errors)


def main(store="outputs/runs", steps=6000):
    """Learn the penalty; what was found beside the closed form."""
    problem = Ridge()
    splits = problem.examples(0)
    dmd, reading = HankelDMD(), SteadyStateEstimator()
    method = Glocal(window=20, delays=5, stride=1, dmd=dmd, steady_state=reading)
    settings = {"steps": steps, "interval": 30, "batch_size": TRAIN, "tracker": "none"}
    last = run(problem, splits, method, store=store, name="ridge", **settings).iloc[-1]
    found = last["hyperparameter/penalty"], last["validation_loss"]
    print("penalty {:.3f}, validation error {:.4f} by hypergradients".format(*found))
    print("penalty {:.3f}, validation error {:.4f} in closed form".format(*best_penalty(splits)))
    return found


if __name__ == "__main__":
    main()
