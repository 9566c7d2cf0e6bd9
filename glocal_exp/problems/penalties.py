"""Logistic regression with a penalty for each of 2,000 words, of which few tell classes apart."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.engine.examples import Splits
from glocal_exp.problems.own import OwnProblem
from glocal_exp.types import Batch, Hyperparams, InnerState, Named, Scalar, Stepped


class Penalties(OwnProblem):
    """Training: cross entropy + sum penalty_j w_j^2, by proximal descent. Validation: without."""

    penalty: float  # of every word at the start
    words: int  # how many there are; `telling` of them are likelier in one of two classes
    telling: int
    documents: tuple[int, int, int]  # how many for training, validation and testing
    learning_rate: float  # of the descent

    def examples(self, seed: int) -> Splits:
        """Which words documents have, frequencies falling as 1 / sqrt(rank); two classes."""
        rng = np.random.default_rng(seed)
        frequency = 0.5 / np.sqrt(rng.permutation(self.words) + 1)
        tilt, telling = np.zeros(self.words), rng.choice(self.words, self.telling, replace=False)
        tilt[telling] = rng.choice([-0.5, 0.5], self.telling)

        def part(count: int) -> Batch:
            y = rng.integers(0, 2, count)
            odds = frequency / (1 - frequency) * np.exp(np.outer(2 * y - 1, tilt))
            x = rng.random((count, self.words)) < odds / (1 + odds)
            return {"x": ((x - frequency) / np.sqrt(frequency)).astype(np.float32), "y": y}

        return Splits(*map(part, self.documents))

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        phi = {"log_penalty": jnp.full(self.words, jnp.log(self.penalty))}
        return InnerState(jnp.zeros(self.words), (), jnp.zeros((), int)), phi

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> Stepped:
        loss, gradient = jax.value_and_grad(self.loss)(state.params, batch)
        w, shrink = state.params - self.learning_rate * gradient, jnp.exp(phi["log_penalty"])
        return InnerState(w / (1 + 2 * self.learning_rate * shrink), (), state.step + 1), loss

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Scalar:
        return self.loss(state.params, batch)

    def metrics(self, state: InnerState, batch: Batch) -> Named:
        return {"loss": self.loss(state.params, batch)}

    def describe(self, phi: Hyperparams) -> Named:
        """A word's penalty where a tenth, half and nine tenths of them are below."""
        tenths = jnp.quantile(jnp.exp(phi["log_penalty"]), jnp.array([0.1, 0.5, 0.9]))
        return dict(zip(("low_penalty", "median_penalty", "high_penalty"), tenths, strict=True))

    def loss(self, w: Float[Array, " words"], batch: Batch) -> Scalar:
        """The mean cross entropy."""
        logits = batch["x"] @ w
        return jnp.mean(jax.nn.softplus(logits) - batch["y"] * logits)
