"""A template: a bilevel problem of your own, without configs (python problem.py)."""

import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.engine import Splits, run
from glocal_exp.methods.local import Local
from glocal_exp.types import InnerProblem, InnerState


class Lasso(InnerProblem):
    """Training: proximal descent with a penalty for each feature. Validation: the error alone."""

    def init(self, key):
        """The state before training (all that a step maps) and phi, unconstrained, any tree."""
        return InnerState(jnp.zeros(10), (), jnp.array(0)), {"log_penalties": jnp.full(10, -3.0)}

    def step(self, state, phi, batch, key):
        """One differentiable step; what is random comes from `key`. Returns the training loss."""
        loss, gradient = jax.value_and_grad(self.error)(state.params, batch)
        w, shrink = state.params - 0.1 * gradient, 0.1 * jnp.exp(phi["log_penalties"])
        return InnerState(w - jnp.clip(w, -shrink, shrink), (), state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        """What the hyperparameters are to lower: a mean over the examples."""
        return self.error(state.params, batch)

    def describe(self, phi):
        """By name, in natural units, for the records."""
        return {"mean_penalty": jnp.exp(phi["log_penalties"]).mean()}

    def error(self, w, batch):
        return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


rng = np.random.default_rng(0)
x = rng.normal(size=(120, 10))
y = x[:, :3] @ np.array([2.0, -1.0, 0.5]) + rng.normal(size=120)
splits = Splits(train={"x": x[:60], "y": y[:60]}, validation={"x": x[60:], "y": y[60:]})

if __name__ == "__main__":
    for record in run(Lasso(), splits, Local(), steps=400, interval=20, batch_size=60):
        print(record.step, record.hyperparameters, record.metrics["validation_loss"])
