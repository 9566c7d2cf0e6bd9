"""Descent on a quadratic: its hypergradients (a + b t) mu^t have double eigenvalues, exactly."""

from itertools import islice

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.engine import Hooks, Splits
from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.steady import SteadyStateEstimator
from glocal_exp.methods.glocal import Glocal
from glocal_exp.types import InnerProblem, InnerState
from tests.engine.runs import begin

INTERVAL, WINDOW, DELAYS = 60, 50, 10
EXAMPLES = Splits(*({"x": np.zeros((8, 1))},) * 2)


class Quadratic(InnerProblem):
    """w <- w - eta lambda w from 1, and a validation loss that is linear in w.

    So w_t = mu^t with mu = 1 - eta lambda, and the loss's derivative by phi, where eta is e^phi, is
    h_t = -eta lambda t mu^(t-1) by each w, summed with the weights.
    """

    curvatures: tuple[float, ...] = eqx.field(static=True)
    weights: tuple[float, ...] = eqx.field(static=True)
    noise: float = eqx.field(static=True, default=0.0)

    def init(self, key):
        w = jnp.ones(len(self.curvatures))
        return InnerState(w, (), jnp.zeros((), int)), {"log_rate": jnp.log(jnp.asarray(0.1))}

    def step(self, state, phi, batch, key):
        slope = jnp.asarray(self.curvatures) * state.params
        slope *= 1 + self.noise * jax.random.normal(key, slope.shape)
        w = state.params - jnp.exp(phi["log_rate"]) * slope
        return InnerState(w, (), state.step + 1), jnp.sum(w**2)

    def meta_loss(self, state, phi, batch):
        return jnp.asarray(self.weights) @ state.params

    def describe(self, phi):
        return {"rate": jnp.exp(phi["log_rate"])}


def first(problem, **settings):
    """The record of the first interval, and its h_t."""
    steady = SteadyStateEstimator(**settings)
    method = Glocal(WINDOW, DELAYS, 1, HankelDMD(), steady)
    hooks = Hooks(keep=lambda outer_step: True)
    sizes = {"steps": 2 * INTERVAL, "interval": INTERVAL, "batch_size": 4}
    _, record = islice(begin(problem, EXAMPLES, method, hooks=hooks, **sizes), 2)
    return record, record.arrays["trajectory"]


def exact(problem, t):
    curvatures, weights = np.asarray(problem.curvatures), np.asarray(problem.weights)
    return np.sum(weights * -0.1 * curvatures * t * (1 - 0.1 * curvatures) ** (t - 1))


@pytest.mark.parametrize("curvatures", [(0.3,), (0.5, 3.0), (0.4, 1.5, 6.0), (0.2, 0.2001)])
def test_the_nearest_modes_are_taken_whole(curvatures):
    problem = Quadratic(curvatures, tuple(1.0 + i for i in range(len(curvatures))))
    record, h = first(problem, fallback="nearest", unit_tolerance=0.01)
    times = INTERVAL - WINDOW + 1 + np.arange(WINDOW)
    np.testing.assert_allclose(h[:, 0], [exact(problem, t) for t in times], rtol=1e-10)
    # The last snapshot's own position, where all but the slowest modes have died out.
    expected = exact(problem, INTERVAL - DELAYS + 1)
    assert record.diagnostics["outsized"] == 0
    assert record.hypergradient["log_rate"] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("fallback", ["local", "nearest"])
@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.1])
@pytest.mark.parametrize(
    "noise", [1e-9, *(pytest.param(n, marks=pytest.mark.slow) for n in (1e-6, 1e-3)), 0.1]
)
def test_no_estimate_of_a_run_is_much_longer_than_its_hypergradients(noise, tolerance, fallback):
    for curvature in (0.1, 0.2, 0.5, 1.0, 5.0):
        problem = Quadratic((curvature, 2.0), (1.0, -1.0), noise)
        record, h = first(problem, fallback=fallback, unit_tolerance=tolerance)
        estimate = abs(record.hypergradient["log_rate"])
        assert record.skipped == (not np.isfinite(estimate))
        assert record.skipped or estimate <= 10 * np.abs(h).max()


def test_an_estimate_of_no_consequence_is_a_skipped_step():
    record, h = first(Quadratic((6.5,), (1.0,)), fallback="nearest")
    assert np.abs(h).max() > 0
    assert record.skipped
    assert np.isnan(record.hypergradient["log_rate"])
