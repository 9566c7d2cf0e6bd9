"""What each method asks of the engine, and what it makes of the answer."""

from dataclasses import replace

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.steady import SteadyStateEstimator
from glocal_exp.methods.constant import Constant
from glocal_exp.methods.ema_local import EmaLocal
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.glocal import Glocal
from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Estimate, Measured, Moment
from glocal_exp.methods.none import NoHPO
from glocal_exp.methods.shuffled import Shuffled
from glocal_exp.methods.window_mean import WindowMean

MOMENT = Moment(outer_step=3, outer_steps=10, interval=20, names=("a", "b"))
TRAJECTORY = np.random.default_rng(0).normal(size=(6, 2))


def glocal(window=80, delays=10, stride=1, **steady):
    return Glocal(window, delays, stride, HankelDMD(), SteadyStateEstimator(**steady))


def h_of(estimate: Estimate) -> np.ndarray:
    assert estimate.hypergradient is not None
    return estimate.hypergradient


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        (NoHPO(), []),
        (Local(), [100]),
        (Local("every"), range(1, 101)),
        (Global(), [100]),
        (Global(greedy=False), [100]),
        (WindowMean(80, 1), range(21, 101)),
        (WindowMean(100, 1), range(1, 101)),
        (glocal(), range(21, 101)),
        (glocal(window=80, stride=2), range(22, 101, 2)),
        (glocal(window=7, delays=2, stride=3), [94, 97, 100]),
    ],
)
def test_which_hypergradients_of_an_interval_are_needed(method, steps):
    assert [index + 1 for index in method.wanted(100).steps] == list(steps)


@pytest.mark.parametrize("method", [NoHPO(), Local(), WindowMean(5, 1), glocal()])
def test_most_methods_look_no_further_than_their_interval(method):
    assert {method.intervals_ahead(s, 10) for s in range(1, 11)} == {0}
    assert method.keeps == 1


def test_global_looks_to_the_end():
    assert [Global().intervals_ahead(s, 10) for s in (1, 4, 10)] == [9, 6, 0]
    assert [Global(greedy=False).intervals_ahead(s, 10) for s in (1, 4, 10)] == [9, 9, 9]
    assert (Global().keeps, Global(greedy=False).keeps) == (1, 0)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (WindowMean(101, 1), "method.window=101 does not fit interval=100"),
        (WindowMean(0, 1), "method.window=0 "),
        (WindowMean(10, 0), "method.stride=0 "),
        (WindowMean(10, 11), "method.stride=11 is not from 1 to method.window=10"),
        (glocal(window=101), "method.window=101 "),
        (glocal(delays=0), "method.delays=0 .* choose from 1 to 79"),
        (glocal(delays=80), "method.delays=80 "),
        (glocal(window=80, delays=40, stride=2), "40 hypergradients .*stride 2.* from 1 to 39"),
        (glocal(window=80, stride=80), "holds one hypergradient .*raise the window or lower"),
    ],
)
def test_settings_that_do_not_fit_the_interval(method, message):
    with pytest.raises(UserError, match=message):
        method.wanted(100)


def test_local_knows_two_ways():
    with pytest.raises(UserError, match="'first'; choose last or every"):
        Local("first")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("method", "estimate"),
    [
        (Local(), TRAJECTORY[-1]),
        (Global(), TRAJECTORY[-1]),
        (WindowMean(6, 1), TRAJECTORY.mean(0)),
    ],
)
def test_the_plain_estimates(method, estimate):
    found = method.estimate(Measured(TRAJECTORY), MOMENT)
    np.testing.assert_allclose(h_of(found), estimate, rtol=1e-15)
    assert found.memory == {}


def test_none_has_no_estimate():
    assert NoHPO().estimate(Measured(TRAJECTORY[:0]), MOMENT).hypergradient is None


def test_glocal_finds_the_fixed_point_of_an_affine_map():
    """h_{t+1} = A h_t + c: with two delays the constant is a mode of eigenvalue 1 of its own."""
    matrix, constant = np.array([[0.6, 0.2], [-0.1, 0.5]]), np.array([1.0, -2.0])
    h = [np.array([3.0, 4.0])]
    for _ in range(11):
        h.append(matrix @ h[-1] + constant)
    estimate = glocal(12, 2).estimate(Measured(np.array(h)), MOMENT)
    fixed = np.linalg.solve(np.eye(2) - matrix, constant)
    # What the window still is from the fixed point does not matter: no noise, so rounding only.
    np.testing.assert_allclose(h_of(estimate), fixed, rtol=1e-8)
    assert estimate.diagnostics["steady_modes"] == 1
    assert estimate.arrays["eigenvalues"].shape == (3,)
    assert estimate.arrays["modes"].shape == (4, 3)


def test_glocal_with_a_finite_horizon_is_told_how_far_the_end_is():
    """h_t = 0.98^t: 7 intervals of 20 steps are left after outer step 3 of 10."""
    h = (0.98 ** np.arange(6))[:, None]
    estimate = glocal(6, 2, horizon="finite").estimate(Measured(h), MOMENT)
    assert MOMENT.steps_left == 140
    np.testing.assert_allclose(h_of(estimate), 0.98 ** (5 + 140), rtol=1e-8)


def test_a_stride_is_counted_in_training_steps():
    """Every second of h_t = 0.98^t: the finite horizon counts steps, not hypergradients."""
    h = (0.98 ** np.arange(1, 12, 2))[:, None]
    estimate = glocal(11, 2, 2, horizon="finite").estimate(Measured(h), MOMENT)
    np.testing.assert_allclose(h_of(estimate), 0.98 ** (11 + 140), rtol=1e-8)


@pytest.mark.parametrize("method", [Local(), Global(), WindowMean(6, 1), glocal(6, 2)])
def test_a_hypergradient_that_is_not_finite_gives_no_finite_estimate(method):
    h = TRAJECTORY.copy()
    h[-1, 0] = np.nan
    estimate = method.estimate(Measured(h), MOMENT)
    assert not np.isfinite(h_of(estimate)).all()


def test_the_exponential_mean_lies_between_local_and_the_windows_mean():
    measured = Measured(TRAJECTORY)
    for decay, expected in ((0.0, TRAJECTORY[-1]), (1.0, TRAJECTORY.mean(axis=0))):
        np.testing.assert_allclose(h_of(EmaLocal(6, decay).estimate(measured, MOMENT)), expected)
    # By its recursion m <- decay m + (1 - decay) h from 0, corrected for that start as in Adam.
    mean = np.zeros(2)
    for h in TRAJECTORY:
        mean = 0.7 * mean + 0.3 * h
    found = h_of(EmaLocal(6, 0.7).estimate(measured, MOMENT))
    np.testing.assert_allclose(found, mean / (1 - 0.7**6), rtol=1e-12)
    with pytest.raises(UserError, match=r"method.decay=1.1 is not from 0 to 1"):
        EmaLocal(6, 1.1)


def test_a_constant_direction_needs_nothing():
    method = Constant({"a": "raise", "c": "lower"})
    assert not method.wanted(8)
    moment = Moment(1, 2, 8, ("a", "b", "c"))
    np.testing.assert_array_equal(method.estimate(Measured(), moment).hypergradient, [-1, 0, 1])
    with pytest.raises(UserError, match=r"moves names d, and the task has a, b, c"):
        Constant({"d": "keep"}).check(moment.names)
    with pytest.raises(UserError, match=r"moves[.]a is 'up'; choose one of raise, lower, keep"):
        Constant({"a": "up"})


def test_shuffled_signs_are_even_and_the_same_each_time():
    h = np.ones((1, 200))
    found = [Shuffled(0).estimate(Measured(h), replace(MOMENT, outer_step=s)) for s in (1, 1, 2)]
    first, again, other = (one.hypergradient for one in found)
    assert (first == again).all()
    assert not (first == other).all()
    assert set(first) == {-1.0, 1.0}
    assert abs(first.sum()) < 3 * 200**0.5
