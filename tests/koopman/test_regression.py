"""The three regressions against each other, PyDMD, and what noise does to each."""

import warnings

import numpy as np
import pytest
import scipy.linalg

from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.koopman.regression import REGRESSIONS

from .systems import AffineSystem, matching, random_system, spiral

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pydmd = pytest.importorskip("pydmd", reason="PyDMD, the oracle, is not installed")

UNBIASED = ("total_least_squares", "forward_backward")


def noisy(system, level, seed, steps=80):
    """A trajectory with white noise of `level` times its root mean square."""
    trajectory = system.trajectory(steps)
    rng = np.random.default_rng(seed)
    return trajectory + level * np.sqrt(np.mean(trajectory**2)) * rng.normal(size=trajectory.shape)


def nearest(found, expected):
    """Distance of each expected eigenvalue to the nearest one found."""
    return np.abs(np.asarray(expected)[:, None] - found).min(axis=1)


@pytest.mark.parametrize("regression", REGRESSIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_without_noise_each_finds_the_system(size, regression):
    system = random_system(size, size)
    trajectory = system.trajectory(80)
    spectrum = HankelDMD(regression=regression).fit(trajectory, 6)
    expected = np.append(np.linalg.eigvals(system.transition), 1.0)
    order = matching(spectrum.eigenvalues, expected)
    # The backward fit inverts the fastest decay; squares and roots cost a few digits more.
    assert np.allclose(spectrum.eigenvalues[order], expected, rtol=0, atol=1e-6)
    tolerance = 1e-6 * np.abs(trajectory).max()
    assert np.allclose(spectrum.at(np.arange(80)), trajectory, rtol=0, atol=tolerance)
    assert np.allclose(spectrum.steady_state(0.02), system.fixed_point, rtol=0, atol=tolerance)


def test_forward_backward_keeps_the_sign_of_a_flipping_mode():
    system = AffineSystem(np.diag([-0.9, 0.8]), np.zeros(2), np.array([1.0, 2.0]))
    spectrum = HankelDMD(regression="forward_backward").fit(system.trajectory(40), 2)
    assert sorted(spectrum.eigenvalues.real) == pytest.approx([-0.9, 0.8], abs=1e-9)


@pytest.mark.parametrize("rank", [3, 5])
def test_total_least_squares_agrees_with_pydmd(rank):
    trajectory = noisy(random_system(2, 3), 0.05, 0)
    spectrum = HankelDMD(rank=rank, regression="total_least_squares").fit(trajectory, 10)
    reference = pydmd.HankelDMD(svd_rank=rank, tlsq_rank=rank, exact=True, d=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference.fit(trajectory.T)
    order = matching(spectrum.eigenvalues, reference.eigs)
    assert np.allclose(spectrum.eigenvalues[order], reference.eigs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_forward_backward_is_the_root_of_its_definition(seed):
    """By two least squares and SciPy's matrix root, where all eigenvalues are on the right.

    PyDMD's takes that root whatever the sign, and misses decaying oscillations without noise too.
    """
    system = AffineSystem(spiral(0.97, 0.3), np.array([0.1, -0.2]), np.array([1.0, 0.0]))
    snapshots = delay_embedding(noisy(system, 0.05, seed), 4)
    basis = np.linalg.svd(snapshots[:, :-1])[0][:, :3]
    earlier, later = basis.T @ snapshots[:, :-1], basis.T @ snapshots[:, 1:]
    forward = np.linalg.lstsq(earlier.T, later.T, rcond=None)[0].T
    backward = np.linalg.lstsq(later.T, earlier.T, rcond=None)[0].T
    expected = np.linalg.eigvals(scipy.linalg.sqrtm(forward @ np.linalg.inv(backward)))
    settings = HankelDMD(rank=3, regression="forward_backward")
    found = settings.fit(noisy(system, 0.05, seed), 4).eigenvalues
    assert nearest(found, expected).max() < 1e-9


@pytest.mark.parametrize("regression", UNBIASED)
def test_with_as_many_directions_as_transitions_all_are_least_squares(regression):
    """A fit without residual leaves no noise to treat one way or the other."""
    trajectory = noisy(random_system(4, 3), 0.1, 1, steps=20)
    plain = HankelDMD().fit(trajectory, 5).eigenvalues
    other = HankelDMD(regression=regression).fit(trajectory, 5).eigenvalues
    assert nearest(other, plain).max() < 1e-6


@pytest.mark.parametrize("level", [0.05, 0.1, 0.2])
def test_noise_biases_least_squares_and_not_the_others(level):
    """What they buy: the modulus of a slow spiral, a mean over 40 draws of the noise.

    One delay: with more, the embedding averages some of the noise away for all three.
    """
    system = AffineSystem(spiral(0.99, 0.2), np.zeros(2), np.array([1.0, 0.0]))
    bias = {}
    for regression in REGRESSIONS:
        settings = HankelDMD(rank=2, regression=regression)
        fits = [settings.fit(noisy(system, level, seed), 1).eigenvalues for seed in range(40)]
        bias[regression] = np.mean([np.abs(e) for e in fits]) - 0.99
    # Least squares shrinks the modulus by about the noise's share of the power, level squared.
    assert bias["least_squares"] < -0.5 * level**2
    for regression in UNBIASED:
        assert abs(bias[regression]) < 0.4 * abs(bias["least_squares"])


@pytest.mark.parametrize("regression", REGRESSIONS)
@pytest.mark.parametrize("trajectory", [np.zeros((20, 3)), np.tile([0.5, -1.0, 3.0], (20, 1))])
def test_zeros_and_constants(regression, trajectory):
    spectrum = HankelDMD(regression=regression).fit(trajectory, 4)
    assert spectrum.rank == (1 if trajectory.any() else 0)
    assert np.allclose(spectrum.steady_state(1e-9), trajectory[0], rtol=1e-12)


@pytest.mark.parametrize("regression", REGRESSIONS)
def test_more_numbers_than_snapshots(regression):
    """100 rows, 11 columns: decomposed in as many rows as columns."""
    rng = np.random.default_rng(0)
    system = random_system(1, 2)
    trajectory = system.trajectory(20) @ rng.standard_normal((2, 10))
    spectrum = HankelDMD(regression=regression).fit(trajectory, 10)
    assert np.allclose(spectrum.at(np.arange(20)), trajectory, rtol=0, atol=1e-7)
