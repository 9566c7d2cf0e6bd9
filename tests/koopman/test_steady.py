from functools import cache

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.modulus import ModulusEstimator
from glocal_exp.koopman.spectrum import Spectrum
from glocal_exp.koopman.steady import SteadyStateEstimator

from .systems import AffineSystem, random_system, spiral


@cache
def noisy(seed, noise):
    """A trajectory of a double eigenvalue and its spectrum, for all settings of an estimate."""
    trajectory, _ = descent(seed, noise)
    return trajectory, HankelDMD().fit(trajectory, 10, 1)


def estimate(trajectory, delays=5, steps_left=100, stride=1, **settings):
    spectrum = HankelDMD().fit(trajectory, delays, stride)
    return SteadyStateEstimator(**settings).estimate(spectrum, trajectory, steps_left)


@pytest.mark.parametrize("anchor", ["last", "first", "newest"])
@pytest.mark.parametrize("amplitudes", ["first", "all"])
@pytest.mark.parametrize(("steps", "delays"), [(80, 10), (40, 5), (30, 2)])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_fixed_point_of_an_affine_map(size, steps, delays, amplitudes, anchor):
    for seed in range(3):
        system = random_system(10 * seed + size, size)
        trajectory = system.trajectory(steps)
        spectrum = HankelDMD(amplitudes=amplitudes).fit(trajectory, delays)
        estimator = SteadyStateEstimator(anchor=anchor)
        found, diagnostics = estimator.estimate(spectrum, trajectory, 0)
        # The numbers are of size 1 to 10; conditioning leaves 4 to 8 of 16 digits of margin.
        assert np.allclose(found, system.fixed_point, rtol=0, atol=1e-8)
        assert diagnostics["rank"] == size + 1
        assert diagnostics["steady_modes"] == 1
        assert diagnostics["growing_modes"] == diagnostics["fallback_used"] == 0
        assert diagnostics["spectral_radius"] == pytest.approx(1, abs=1e-8)
        assert diagnostics["nearest_distance"] < 1e-8
        assert diagnostics["reconstruction_error"] < 1e-8


def test_growing_modes_are_dropped_and_counted():
    # h runs away from its fixed point by 1.1^k, up to 2e3: rounding is relative to that.
    system = AffineSystem(np.diag([1.1, 0.5]), np.array([-0.2, 1.0]), np.array([3.0, -1.0]))
    found, diagnostics = estimate(system.trajectory(80), 10)
    assert np.allclose(found, [2.0, 2.0], rtol=0, atol=1e-8)
    assert diagnostics["growing_modes"] == 1
    assert diagnostics["spectral_radius"] == pytest.approx(1.1, abs=1e-9)
    assert diagnostics["fallback_used"] == 0


def test_oscillating_modes_are_dropped_and_counted():
    system = AffineSystem(spiral(1.0, 0.7), np.array([1.0, 0.0]), np.array([3.0, -1.0]))
    found, diagnostics = estimate(system.trajectory(80), 10)
    assert np.allclose(found, system.fixed_point, rtol=0, atol=1e-8)
    assert diagnostics["oscillating_modes"] == 2
    assert diagnostics["growing_modes"] == 0


def test_a_slow_mode_within_the_tolerance_counts_as_steady():
    trajectory = (1 + 0.99 ** np.arange(80.0))[:, None]
    found, diagnostics = estimate(trajectory, 10, unit_tolerance=0.02)
    assert found == pytest.approx(1 + 0.99**70, abs=1e-8)
    assert diagnostics["steady_modes"] == 2
    found, diagnostics = estimate(trajectory, 10, unit_tolerance=0.005)
    assert found == pytest.approx(1, abs=1e-8)
    assert diagnostics["steady_modes"] == 1


# Fallbacks: decaying systems without offset have no eigenvalue near 1.


def test_nearest_takes_the_slowest_decay():
    trajectory = (0.9 ** np.arange(40.0) + 0.5 ** np.arange(40.0))[:, None] * np.array([1.0, -2.0])
    found, diagnostics = estimate(trajectory, fallback="nearest")
    assert np.allclose(found, 0.9**35 * np.array([1, -2]), rtol=0, atol=1e-10)
    assert diagnostics["fallback_used"] == 1
    assert diagnostics["steady_modes"] == 0
    assert diagnostics["nearest_distance"] == pytest.approx(0.1, abs=1e-8)


def test_nearest_takes_a_conjugate_pair_as_one():
    block = np.zeros((3, 3))
    block[:2, :2], block[2, 2] = spiral(0.95, 0.1), 0.5
    system = AffineSystem(block, np.zeros(3), np.array([1.0, 2.0, 50.0]))
    trajectory = system.trajectory(40)
    found, _ = estimate(trajectory, anchor="first", fallback="nearest")
    assert np.allclose(found, [1.0, 2.0, 0.0], rtol=0, atol=1e-9)
    found, _ = estimate(trajectory, anchor="last", fallback="nearest")
    assert np.allclose(found, [*trajectory[35, :2], 0.0], rtol=0, atol=1e-9)


def test_nearest_passes_over_growing_modes():
    # 1.05 is nearer to 1 than 0.8, but grows.
    trajectory = (1.05 ** np.arange(40.0) + 0.8 ** np.arange(40.0))[:, None]
    found, diagnostics = estimate(trajectory, anchor="first", fallback="nearest")
    assert found == pytest.approx(1, abs=1e-8)
    assert diagnostics["growing_modes"] == 1


@pytest.mark.parametrize("trajectory", [1.1 ** np.arange(30.0), 2.0 ** np.arange(30.0)])
def test_nearest_finds_nothing_among_growing_modes(trajectory):
    found, diagnostics = estimate(trajectory[:, None], fallback="nearest")
    assert np.isnan(found).all()
    assert diagnostics["fallback_used"] == diagnostics["growing_modes"] == 1


def descent(seed, noise, size=3):
    """(a + b t) mu^t, as hypergradients of descent are, and its value at every t without noise."""
    rng = np.random.default_rng(seed)
    (a, b), mu, t = rng.standard_normal((2, size)), rng.uniform(0.85, 1.0), np.arange(80.0)[:, None]
    exact = (a + b * t) * mu**t
    return exact + noise * np.abs(exact).max() * rng.standard_normal(exact.shape), exact


def longest(trajectory):
    return np.linalg.norm(trajectory, axis=1).max()


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("noise", [0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4])
def test_halves_of_a_double_eigenvalue_are_taken_together(noise, seed):
    trajectory, exact = descent(seed, noise)
    found, diagnostics = estimate(trajectory, 10, fallback="nearest")
    assert diagnostics["outsized"] == 0
    if np.isnan(found).all():  # a mode of the noise alone is steady, or all has died out
        died_out = np.linalg.norm(exact[70]) < 1e-3 * longest(exact)
        assert diagnostics["steady_modes"] > 0 or died_out
    elif not diagnostics["dropped_modes"]:
        # Decays of 0.85 to 1 are told apart from the noise by their amplitudes at the anchor.
        assert np.linalg.norm(found - exact[70]) <= (0.05 if noise else 1e-8) * longest(exact)


@pytest.mark.parametrize("anchor", ["first", "last", "newest"])
@pytest.mark.parametrize("fallback", ["nearest", "local", "skip"])
@pytest.mark.parametrize("horizon", ["infinite", "finite"])
@pytest.mark.parametrize("noise", [1e-3, 1e-2, 1e-1])
def test_no_estimate_is_much_longer_than_the_hypergradients(noise, horizon, fallback, anchor):
    for seed in range(30):
        trajectory, spectrum = noisy(seed, noise)
        estimator = SteadyStateEstimator(fallback=fallback, horizon=horizon, anchor=anchor)
        found, diagnostics = estimator.estimate(spectrum, trajectory, 10_000)
        if diagnostics["outsized"] and fallback != "skip":
            assert np.array_equal(found, trajectory[-1])
        assert np.isnan(found).all() or np.linalg.norm(found) <= 10 * longest(trajectory)


def test_half_of_a_double_eigenvalue_at_the_edge_of_steady_is_refused():
    # The pair at 0.98 is split by noise to both sides of the tolerance.
    replaced = []
    for seed in range(100):
        rng, t = np.random.default_rng(seed), np.arange(80.0)[:, None]
        trajectory = t * 0.98**t + 1e-9 * rng.standard_normal((80, 1))
        found, diagnostics = estimate(trajectory, 10, anchor="first", fallback="nearest")
        assert not np.linalg.norm(found) > 10 * longest(trajectory)
        replaced.append(diagnostics["outsized"])
    assert sum(replaced) > 10


@pytest.mark.parametrize("decay", [0.35, -0.35, 0.75])
def test_a_mode_that_has_died_out_by_the_anchor_is_no_estimate(decay):
    trajectory = (decay ** np.arange(80.0))[:, None]
    found, diagnostics = estimate(trajectory, 10, fallback="nearest")
    assert diagnostics["fallback_used"] == 1
    assert np.isnan(found).all()
    assert np.isfinite(estimate(trajectory, 10, anchor="first", fallback="nearest")[0]).all()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e200])
def test_the_size_of_all_hypergradients_does_not_matter(scale):
    system = random_system(2, 2)
    found, diagnostics = estimate(scale * system.trajectory(60))
    assert np.allclose(found / scale, system.fixed_point, rtol=0, atol=1e-8)
    assert diagnostics["outsized"] == 0


def test_a_steady_mode_of_rounding_counts_for_nothing():
    """Sums of exponentials in float32, none of them within the tolerance of 1."""
    t, counted = np.arange(20.0)[:, None], 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        decays, directions = rng.uniform(0.85, 0.97, 2), rng.standard_normal((2, 3))
        trajectory = (decays**t @ directions).astype(np.float32)
        found, diagnostics = estimate(trajectory, 5, fallback="local")
        counted += diagnostics["steady_modes"]
        assert np.array_equal(found, trajectory[-1])
    assert counted > 0, "rounding makes no steady modes any more; look for other trajectories"


def test_an_infinite_estimate_is_outsized():
    one = np.ones(1, complex)
    spectrum = Spectrum(one, np.ones((2, 1), complex), np.inf * one.real + 0j, 2, 3)
    found, diagnostics = SteadyStateEstimator().estimate(spectrum, np.ones((4, 2)), 10)
    assert np.array_equal(found, [1, 1])
    assert diagnostics["outsized"] == 1


def test_modes_of_one_shape_are_counted():
    seeds = [seed for seed in range(40) if estimate(descent(seed, 0)[0], 10)[1]["dropped_modes"]]
    assert seeds, "rounding splits no double eigenvalue so little any more; look for other seeds"
    for seed in seeds:
        assert estimate(descent(seed, 0)[0], 10)[1]["reconstruction_error"] > 0.01


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("anchor", ["last", "first", "newest"])
def test_a_linear_drift_runs_to_the_end_whatever_rounding_makes_of_its_eigenvalues(anchor, seed):
    (a, b), t = np.random.default_rng(seed).standard_normal((2, 3)), np.arange(80.0)[:, None]
    settings = {"steps_left": 100, "horizon": "finite", "anchor": anchor}
    found, diagnostics = estimate(a + b * t, 10, **settings)
    if not diagnostics["dropped_modes"]:
        assert np.allclose(found, a + b * 179, rtol=1e-4, atol=1e-4)


def test_local_takes_the_newest_hypergradient():
    trajectory = random_system(0, 2, 0.8, affine=False).trajectory(30)
    found, diagnostics = estimate(trajectory, fallback="local")
    assert np.array_equal(found, trajectory[-1])
    assert diagnostics["fallback_used"] == 1


def test_skip_gives_nan():
    trajectory = random_system(0, 2, 0.8, affine=False).trajectory(30)
    found, diagnostics = estimate(trajectory, fallback="skip")
    assert np.isnan(found).all()
    assert found.shape == (2,)
    assert diagnostics["fallback_used"] == 1


@pytest.mark.parametrize("fallback", ["nearest", "local", "skip"])
def test_fallbacks_change_nothing_where_a_mode_is_steady(fallback):
    system = random_system(2, 2)
    found, diagnostics = estimate(system.trajectory(60), fallback=fallback)
    assert np.allclose(found, system.fixed_point, rtol=0, atol=1e-8)
    assert diagnostics["fallback_used"] == 0


@pytest.mark.parametrize("anchor", ["last", "first", "newest"])
def test_finite_horizon_runs_to_the_end(anchor):
    system = random_system(4, 3, 0.97)
    expected = system.trajectory(60 + 25)[-1]
    found, diagnostics = estimate(
        system.trajectory(60), steps_left=25, horizon="finite", anchor=anchor
    )
    assert np.allclose(found, expected, rtol=0, atol=1e-9)
    assert diagnostics["fallback_used"] == 0


def test_finite_horizon_tends_to_the_infinite_one():
    system = random_system(4, 3, 0.9)
    found, _ = estimate(system.trajectory(60), steps_left=5_000, horizon="finite")
    # The eigenvalue 1 is off by about 1e-14, times 5,000 steps.
    assert np.allclose(found, system.fixed_point, rtol=0, atol=1e-8)


def test_stride_is_counted_in_training_steps():
    system = AffineSystem(np.diag([0.95, 0.9]), np.array([1.0, -1.0]), np.array([3.0, 4.0]))
    trajectory = system.trajectory(81)
    found, _ = estimate(trajectory[::4], 3, steps_left=13, stride=4, horizon="finite")
    assert np.allclose(found, system.trajectory(81 + 13)[-1], rtol=0, atol=1e-9)
    found, _ = estimate(trajectory[::4], 3, stride=4)
    assert np.allclose(found, system.fixed_point, rtol=0, atol=1e-8)


@pytest.mark.parametrize("horizon", ["infinite", "finite"])
@pytest.mark.parametrize("fallback", ["nearest", "local", "skip"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_trajectory_that_is_not_finite_gives_nan(bad, fallback, horizon):
    trajectory = random_system(0, 2).trajectory(30)
    trajectory[3, 1] = bad
    found, diagnostics = estimate(trajectory, fallback=fallback, horizon=horizon)
    assert np.isnan(found).all()
    assert diagnostics["rank"] == diagnostics["fallback_used"] == 0
    assert np.isnan(diagnostics["spectral_radius"])


@pytest.mark.parametrize("horizon", ["infinite", "finite"])
@pytest.mark.parametrize("fallback", ["nearest", "local", "skip"])
def test_a_zero_trajectory_gives_zeros(fallback, horizon):
    found, diagnostics = estimate(np.zeros((20, 3)), fallback=fallback, horizon=horizon)
    assert np.array_equal(found, np.zeros(3))
    assert diagnostics["rank"] == diagnostics["fallback_used"] == 0
    assert diagnostics["reconstruction_error"] == 0


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e30, 1e300])
def test_reconstruction_error_is_relative(scale):
    rng = np.random.default_rng(0)
    trajectory = random_system(0, 2).trajectory(40) + 0.5 * rng.standard_normal((40, 2))
    _, diagnostics = estimate(trajectory)
    spectrum = HankelDMD().fit(trajectory, 5)
    misfit = spectrum.at(np.arange(36)) - trajectory[:36]
    expected = np.linalg.norm(misfit) / np.linalg.norm(trajectory[:36])
    assert diagnostics["reconstruction_error"] == pytest.approx(expected, rel=1e-12)
    _, scaled = estimate(trajectory * scale)
    # The scale is no power of two, so that the trajectory itself is rounded anew.
    assert scaled["reconstruction_error"] == pytest.approx(expected, rel=1e-6)


def test_diagnostics_are_plain_floats():
    _, diagnostics = estimate(random_system(1, 2).trajectory(30))
    assert all(type(value) is float for value in diagnostics.values())


@pytest.mark.parametrize(
    "settings",
    [
        {"unit_tolerance": -0.1},
        {"unit_tolerance": 1.0},
        {"unit_tolerance": float("nan")},
        {"anchor": "middle"},
        {"fallback": "zero"},
        {"horizon": "long"},
    ],
)
def test_wrong_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(UserError, match=name.replace("_", " ")):
        SteadyStateEstimator(**settings)


def test_the_other_reading_keeps_what_turns_without_decaying():
    """A constant of 2, and a turning part that is 3 at the anchor."""
    turn = 0.4 * (np.arange(40) - 39)
    trajectory = np.stack([2 + 3 * np.cos(turn), 0.9 ** np.arange(40)], axis=1)
    spectrum = HankelDMD().fit(trajectory, 5)
    settings = {"anchor": "newest"}
    plain, _ = SteadyStateEstimator(**settings).estimate(spectrum, trajectory, 0)
    kept, diagnostics = ModulusEstimator(**settings).estimate(spectrum, trajectory, 0)
    np.testing.assert_allclose(plain, [2, 0], atol=1e-8)
    np.testing.assert_allclose(kept, [5, 0], atol=1e-8)
    assert diagnostics["steady_modes"] == 3
    assert diagnostics["oscillating_modes"] == 0
