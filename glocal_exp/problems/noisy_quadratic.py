"""A noisy quadratic, on which the short-horizon bias can be computed (Wu et al. 2018).

Independent modes of curvature lambda, gradients with noise of variance nu, SGD with a fixed
momentum m and a learning rate eta to be learned, of the loss L = sum lambda theta^2 / 2:

    v <- m v + lambda theta + xi,        theta <- theta - eta v.

In units of their starts theta_0 all modes begin at 1: lambda theta_0^2 = i^-start is a mode's share
in the loss, and nu / theta_0^2 its noise. Mean and covariance of (theta, v) follow a linear
recursion, so that what is expected of the loss, and its derivatives by any schedule of learning
rates, are known exactly.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.engine.examples import Splits
from glocal_exp.errors import UserError
from glocal_exp.problems.own import OwnProblem
from glocal_exp.tasks.transforms import start as unconstrained
from glocal_exp.types import Batch, Hyperparams, InnerState, Named, Scalar, Stepped


@dataclass(frozen=True)
class Spectrum:
    """Curvatures `largest` i^-decay, losses at the start i^-start / 2, noise nu = noise lambda.

    Attributes:
        modes: so many.
    """

    decay: float
    start: float
    noise: float
    largest: float = 8.0
    modes: int = 400

    def __post_init__(self):
        if self.modes < 1:
            raise UserError(f"A spectrum of modes={self.modes} is none; give at least 1.")
        if not self.largest > 0 or not self.noise >= 0:
            raise UserError(
                f"A spectrum has largest above 0 and noise from 0 on, not largest={self.largest} "
                f"and noise={self.noise}."
            )

    def examples(self) -> dict[str, Float[np.ndarray, "1 modes"]]:
        """One example: curvature, weight in the loss and noise of each mode, in units of starts."""
        i = np.arange(1, self.modes + 1.0)
        curvature, weight = self.largest * i**-self.decay, i**-self.start
        noise = self.noise * curvature**2 / weight  # nu / theta_0^2
        named = {"curvature": curvature, "weight": weight, "noise": noise}
        return {name: values[None] for name, values in named.items()}


class NoisyQuadratic(OwnProblem):
    """The problem; its spectrum is its data."""

    spectrum: Spectrum  # of the examples
    learning_rate: float  # at the start; learned through a sigmoid
    momentum: float = 0.0  # m, fixed

    def __check_init__(self):
        if not isinstance(self.spectrum, Spectrum):
            raise UserError(f"spectrum={self.spectrum} is none; give a Spectrum.")
        if not 0 <= self.momentum < 1 or not 0 < self.learning_rate < 1:
            raise UserError(
                "A learning_rate is between 0 and 1 and a momentum from 0 to below 1, not "
                f"{self.learning_rate} and {self.momentum}."
            )

    def examples(self, seed: int) -> Splits:
        """The same for every seed: the noise comes with the steps."""
        found = self.spectrum.examples()
        return Splits(found, found)

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        ones = jnp.ones(self.spectrum.modes)
        rate = unconstrained("learning_rate", self.learning_rate, "sigmoid")
        return InnerState(ones, 0 * ones, jnp.zeros((), int)), {"learning_rate": jnp.asarray(rate)}

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> Stepped:
        (curvature, noise) = (batch[name].mean(axis=0) for name in ("curvature", "noise"))
        xi = jax.random.normal(key, curvature.shape, curvature.dtype) * jnp.sqrt(noise)
        velocity = self.momentum * state.opt_state + curvature * state.params + xi
        params = state.params - jax.nn.sigmoid(phi["learning_rate"]) * velocity
        return InnerState(params, velocity, state.step + 1), self.meta_loss(state, phi, batch)

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Scalar:
        return 0.5 * jnp.mean(batch["weight"], axis=0) @ state.params**2

    def describe(self, phi: Hyperparams) -> Named:
        return {"learning_rate": jax.nn.sigmoid(phi["learning_rate"])}


@dataclass(frozen=True)
class Moments:
    """Of (theta, v), mode by mode."""

    mean: Float[Array, "modes 2"]  # expected values
    covariance: Float[Array, "modes 2 2"]  # of the noise of steps that are not fixed

    def loss(self, examples: Batch) -> tuple[Scalar, Scalar]:
        """What the mean and what the noise adds to the expected loss."""
        weight = examples["weight"][0]
        return 0.5 * weight @ self.mean[:, 0] ** 2, 0.5 * weight @ self.covariance[:, 0, 0]


jax.tree_util.register_dataclass(Moments)


def at(state: InnerState) -> Moments:
    """A state that is known."""
    mean = jnp.stack([state.params, state.opt_state], axis=-1)
    return Moments(mean, jnp.zeros((*mean.shape, 2)))


def after(moments: Moments, examples: Batch, rate: Scalar, momentum: float, steps: int) -> Moments:
    """Those after some steps at a learning rate, by doubling the recursion."""
    curvature, noise = examples["curvature"][0], examples["noise"][0]
    one = jnp.ones_like(curvature)
    rows = ((1 - rate * curvature, -rate * momentum * one), (curvature, momentum * one))
    step = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    kick = jnp.stack([-rate * one, one], axis=-1)
    added = noise[:, None, None] * kick[:, :, None] * kick[:, None, :]
    for bit in bin(steps)[2:][::-1]:
        if bit == "1":
            mean = (step @ moments.mean[..., None])[..., 0]
            moments = Moments(mean, step @ moments.covariance @ step.mT + added)
        added = step @ added @ step.mT + added
        step = step @ step
    return moments


@partial(jax.jit, static_argnames=("momentum", "interval"))
def derivative(
    state: InnerState,
    examples: Batch,
    x: Scalar,
    falls: Scalar,
    rest: Scalar,
    left: int,
    *,
    momentum: float,
    interval: int,
) -> tuple[Scalar, Scalar]:
    """d E loss(T) / d x from a known state, x the unconstrained rate of the next interval.

    Args:
        falls: x of later intervals is lower by so much an interval.
        rest: share of a change of x that later intervals follow: 1, or 0 for a schedule's.
        left: intervals to T.

    Returns:
        What comes through the mean (progress) and through the noise.
    """

    def final(move: Scalar) -> tuple[Scalar, Scalar]:
        def body(k: Array, moments: Moments) -> Moments:
            later = x - falls * k + move * jnp.where(k == 0, 1.0, rest)
            return after(moments, examples, jax.nn.sigmoid(later), momentum, interval)

        return jax.lax.fori_loop(0, left, body, at(state)).loss(examples)

    return jax.jvp(final, (jnp.zeros_like(x),), (jnp.ones_like(x),))[1]
