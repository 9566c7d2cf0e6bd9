"""What an interval costs beside the compiled work on images: DMD, and the engine itself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.bench.work import Scale
from glocal_exp.engine import Numerics, Splits, run
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState

FAR = 10**6
"""Intervals of a run that is never finished."""


def dmd(scale: Scale, q: int) -> Callable[[], Any]:
    """A call that fits an interval's hypergradients, (window, q), and reads the steady state."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.8, 1.0, q)
    h = np.exp(-np.arange(scale.window)[:, None] * rates) + rng.normal(size=(scale.window, q)) / 10
    fit, steady = HankelDMD(), SteadyStateEstimator()
    return lambda: steady.estimate(fit.fit(h, scale.delays, 1), h, scale.interval)


def host(scale: Scale) -> Callable[[], Any]:
    """A call that runs the next interval of a problem of one weight.

    Everything that the engine does on the host is in it (batches, calls, meta step, records), with
    an h_t a step of the window, and next to nothing else.
    """
    examples = {"x": np.ones((8 * scale.batch, 1), np.float32)}
    loop = run(
        Nothing(),
        Splits(examples, examples),
        WindowMean(window=scale.window, stride=1),
        steps=FAR * scale.interval,
        interval=scale.interval,
        batch_size=scale.batch,
        numerics=Numerics(),
    )
    next(loop)  # before training
    return lambda: next(loop)


class Nothing(InnerProblem):
    """One weight on its way to the mean, with three hyperparameters."""

    def init(self, key: jax.Array) -> tuple[InnerState, Hyperparams]:
        return InnerState(jnp.zeros(()), (), jnp.array(0)), {"rates": jnp.full(3, -3.0)}

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: jax.Array
    ) -> tuple[InnerState, jax.Array]:
        gradient = state.params - batch["x"][0, 0]
        params = state.params - jnp.sum(jnp.exp(phi["rates"])) * gradient
        return InnerState(params, (), state.step + 1), gradient**2

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> jax.Array:
        return (state.params - batch["x"][0, 0]) ** 2

    def describe(self, phi: Hyperparams) -> dict[str, jax.Array]:
        return {"rates": jnp.exp(phi["rates"])}
