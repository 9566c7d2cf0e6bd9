import doctest

import numpy as np
import pytest

from glocal_exp.studies import bound as module
from glocal_exp.studies.bound import terms
from glocal_exp.studies.linear import LinearSystem, affine_system, linear_system

ROUNDING = 1e-10  # of conditions below 1e3 and numbers of size 1 to 10


def test_the_example_of_the_docstring_is_right():
    failed, attempted = doctest.testmod(module)
    assert (failed, attempted) == (0, 5)


@pytest.mark.parametrize("horizon", [0, 5, 20, 100])
def test_without_noise_the_left_side_is_what_the_dropped_modes_leave(horizon):
    """h = (1, 0.9^t, 0.5^t) from t = 0: at s tau (t = 19) the amplitudes are the last row."""
    known = LinearSystem(np.diag([1.0, 0.9, 0.5]), np.eye(3), np.ones(3))
    found = terms(known.trajectory(200), known.operator(1), 20, horizon)
    assert found.left == pytest.approx(np.hypot(0.9 ** (19 + horizon), 0.5 ** (19 + horizon)))
    assert found.left_prediction < ROUNDING
    assert found.left_limit == pytest.approx(found.left)
    assert found.condition == pytest.approx(1)
    assert found.radius == pytest.approx(1)
    assert max(found.residual, found.epsilon, found.operator_gap) < ROUNDING
    assert found.transient == pytest.approx(0.9**19 * 0.9**20 + 0.5**19 * 0.5**20)
    assert found.right == pytest.approx(found.transient, abs=ROUNDING)
    assert found.proven == pytest.approx(0.9 ** (19 + horizon) + 0.5 ** (19 + horizon), abs=1e-9)
    # The closed form of the gap in Eq. 17: it holds from T - s tau = tau on, and not before.
    assert (found.left_limit <= found.transient) == (horizon >= 20)


def test_scalar_terms_by_hand():
    """One mode, K = sum h_t h_{t+1} / sum h_t^2, with Kbar = 1."""
    h = np.array([1.0, 1.1, 0.9, 1.0, 1.0, 1.0, 1.0])
    found = terms(h[:, None], np.eye(1), 4, 2)
    k = (1.1 + 1.1 * 0.9 + 0.9) / (1 + 1.21 + 0.81)
    f = h[:4] - h[1:5]
    epsilon = abs(1 - k) * np.sqrt(1 + np.sum(f**2))
    assert found.radius == pytest.approx(k)
    assert found.residual == pytest.approx(abs(1.0 - 0.9 * k))
    assert found.epsilon == pytest.approx(epsilon)
    assert found.local_error == pytest.approx(1 - k)
    assert found.condition == pytest.approx(1)
    # k = 0.990 counts as steady, at b = 0.9 k.
    assert found.left == pytest.approx(1 - 0.9 * k)
    assert found.left_prediction == pytest.approx(1 - 0.9 * k**3)
    assert found.transient == 0
    assert found.right == pytest.approx(found.residual + 2 * epsilon)
    assert found.proven == pytest.approx(abs(1 - 0.9 * k) + 2 * (1 - k) + 0.9 * k * (1 - k**2))
    # Read as it is written, Eq. 14 has no mode, and the second term carries it.
    strict = terms(h[:, None], np.eye(1), 4, 2, unit_tolerance=1e-9)
    assert strict.left == pytest.approx(1)
    assert strict.transient == pytest.approx(0.9 * k * k**4)


def test_amplitudes_of_the_first_snapshot_run_on():
    h = np.array([1.0, 1.1, 0.9, 1.0, 1.0, 1.0])
    k = (1.1 + 1.1 * 0.9 + 0.9) / (1 + 1.21 + 0.81)
    found = terms(h[:, None], np.eye(1), 4, 1, amplitudes="first")
    assert found.left == pytest.approx(1 - k**3)
    assert found.left_prediction == pytest.approx(1 - k**4)


@pytest.mark.parametrize("noise", ["measurement", "process"])
@pytest.mark.parametrize("rule", ["newest", "first"])
@pytest.mark.parametrize("tolerance", [1e-9, 0.02])
@pytest.mark.parametrize("kind", ["normal", "skewed", "oscillating", "affine"])
def test_what_is_proven_holds(kind, tolerance, rule, noise):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        delays = 1
        if kind == "affine":
            known, delays = affine_system(rng, [0.9, 0.5, 0.3 + 0.4j]), 3
        else:
            last = {"normal": 0.5, "skewed": 0.5, "oscillating": -1}[kind]
            known = linear_system(rng, [1, 0.9, last], 3.0 if kind == "skewed" else 0.0)
        level = 10.0 ** rng.uniform(-6, -1)
        shocks = level * rng.standard_normal((200, len(known.readout)))
        if noise == "process":
            trajectory = known.trajectory(200, shocks)
        else:
            shocks[40:] = 0
            trajectory = known.trajectory(200) + shocks
        for horizon in (0, 100):
            found = terms(
                trajectory, known.operator(delays), 40, horizon,
                delays=delays, unit_tolerance=tolerance, amplitudes=rule,
            )  # fmt: skip
            assert found.left <= found.proven * (1 + 1e-9) + ROUNDING
            assert found.left <= found.left_prediction + found.left_limit + ROUNDING


def test_with_delays_the_papers_residual_is_zero():
    rng = np.random.default_rng(0)
    known = affine_system(rng, [0.9, 0.5])
    trajectory = known.trajectory(100) + 0.01 * rng.standard_normal((100, 2))
    found = terms(trajectory, known.operator(3), 60, 20, delays=3)
    assert found.residual < 1e-12
    assert found.residual_embedded > 1e-3
