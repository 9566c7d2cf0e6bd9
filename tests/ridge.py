"""Ridge regression that learns its penalty: a bilevel problem of one's own, without Hydra."""

import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.engine import Splits, run
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.glocal import Glocal
from glocal_exp.types import InnerProblem, InnerState


class Ridge(InnerProblem):
    """Training: |Xw - y|^2 / n + penalty |w|^2 by gradient descent. Validation: the error alone."""

    def init(self, key):
        return InnerState(jnp.zeros(20), (), jnp.array(0)), {"log_penalty": jnp.log(1.0)}

    def step(self, state, phi, batch, key):
        def loss(w):
            return self.error(w, batch) + jnp.exp(phi["log_penalty"]) * jnp.sum(w**2)

        value, gradient = jax.value_and_grad(loss)(state.params)
        return InnerState(state.params - 0.1 * gradient, (), state.step + 1), value

    def meta_loss(self, state, phi, batch):
        return self.error(state.params, batch)

    def describe(self, phi):
        return {"penalty": jnp.exp(phi["log_penalty"])}

    def error(self, w, batch):
        return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


rng = np.random.default_rng(0)
x = rng.normal(size=(90, 20))
y = x @ rng.normal(size=20) / 4 + rng.normal(size=90)
splits = Splits(train={"x": x[:50], "y": y[:50]}, validation={"x": x[50:], "y": y[50:]})
glocal = Glocal(window=20, delays=5, stride=1, dmd=HankelDMD(), steady_state=SteadyStateEstimator())

if __name__ == "__main__":
    for record in run(Ridge(), splits, glocal, steps=3000, interval=30, batch_size=50):
        print(record.step, record.hyperparameters["penalty"], record.metrics["validation_loss"])
