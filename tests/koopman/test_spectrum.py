import numpy as np
import pytest

from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.spectrum import Spectrum, powers

from .systems import AffineSystem, random_system, spiral


def spectrum_of(eigenvalues, modes=None, amplitudes=None, snapshots=11, delays=3, stride=1):
    """A spectrum of one hyperparameter, all b_j u_j = 1 unless told otherwise."""
    eigenvalues = np.asarray(eigenvalues, dtype=complex)
    first = np.ones((1, eigenvalues.size)) if modes is None else np.asarray(modes)
    stacked = np.concatenate([first * eigenvalues**delay for delay in range(delays)])
    weights = np.ones(eigenvalues.size) if amplitudes is None else np.asarray(amplitudes)
    return Spectrum(
        eigenvalues, stacked.astype(complex), weights.astype(complex), len(first), snapshots, stride
    )


def test_at_sums_the_modes():
    spectrum = spectrum_of([1.0, 0.5], modes=[[1, 2], [3, 4]], amplitudes=[10, -1])
    assert np.allclose(spectrum.at(0), [10 - 2, 30 - 4], rtol=1e-15)
    assert np.allclose(spectrum.at(2), [10 - 2 / 4, 30 - 4 / 4], rtol=1e-15)
    assert spectrum.at(np.zeros((2, 5))).shape == (2, 5, 2)


def test_steady_state_sums_only_what_is_near_one():
    spectrum = spectrum_of([1.0, 0.99, 0.97, 1.03, -1.0, 1j, -1j], amplitudes=10.0 ** np.arange(7))
    assert spectrum.steady(0.02).tolist() == [True, True] + 5 * [False]
    assert spectrum.growing(0.02).tolist() == 3 * [False] + [True] + 3 * [False]
    # The tolerance is a distance in the complex plane, not one of moduli.
    assert spectrum.steady(1.5).tolist() == 4 * [True] + [False] + 2 * [True]
    expected = 1 + 10 * 0.99**10
    assert spectrum.steady_state(0.02) == pytest.approx(expected, rel=1e-14)
    assert spectrum.steady_state(0.02, "first") == pytest.approx(11, rel=1e-14)


def test_the_last_anchor_is_the_last_snapshot():
    # One mode 0.99: h_k = 0.99^k. With 3 delays, 11 snapshots come from 13 hypergradients.
    trajectory = (0.99 ** np.arange(13.0))[:, None]
    spectrum = HankelDMD().fit(trajectory, 3)
    assert spectrum.steady_state(0.02, "last") == pytest.approx(trajectory[10], rel=1e-12)
    assert spectrum.steady_state(0.02, "first") == pytest.approx(trajectory[0], rel=1e-12)
    assert spectrum.steady_state(0.02, "newest") == pytest.approx(trajectory[12], rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_anchors_agree_for_an_eigenvalue_of_exactly_one(seed):
    spectrum = HankelDMD().fit(random_system(seed, 3).trajectory(80), 10)
    last, first = (spectrum.steady_state(0.02, anchor) for anchor in ("last", "first"))
    # The eigenvalue is 1 up to about 1e-13, and 70 steps lie between the anchors.
    assert np.allclose(last, first, rtol=0, atol=1e-9)


def test_select_takes_what_it_is_told():
    spectrum = spectrum_of([0.5, 2.0], amplitudes=[3, 4], snapshots=3)
    assert spectrum.select(np.array([True, False])) == pytest.approx(3 * 0.25)
    assert spectrum.select(np.array([False, True]), "first") == pytest.approx(4)


def test_select_leaves_out_what_overflowed():
    spectrum = spectrum_of([1.0, 1e40])
    assert spectrum.steady_state(0.02) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("anchor", ["last", "first", "newest"])
@pytest.mark.parametrize("steps_ahead", [0, 1, 40, 10_000])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_finite_horizon_is_a_power_of_the_transition(size, steps_ahead, anchor):
    system = random_system(size, size, 0.97, affine=False)
    trajectory = system.trajectory(60)
    power = np.linalg.matrix_power(system.transition, steps_ahead)
    estimate = HankelDMD().fit(trajectory, 5).finite_horizon(steps_ahead, anchor)
    assert np.allclose(estimate, power @ trajectory[-1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("stride", [2, 5])
@pytest.mark.parametrize("steps_ahead", [0, 3, 10, 37])
def test_finite_horizon_counts_training_steps(steps_ahead, stride):
    # Angles below pi / stride, so that the principal root is the true one.
    system = AffineSystem(spiral(0.98, 0.2), np.array([0.1, -0.3]), np.array([1.0, 2.0]))
    trajectory = system.trajectory(101)
    spectrum = HankelDMD().fit(trajectory[::stride], 4, stride)
    last = np.arange(101)[::stride][-1]
    expected = system.trajectory(last + steps_ahead + 1)[-1]
    assert np.allclose(spectrum.finite_horizon(steps_ahead), expected, rtol=0, atol=1e-10)


def test_finite_horizon_clips_growth_from_the_anchor_on():
    # h_k = 1.1^k, 11 snapshots of 3 delays: anchors at k = 10 and k = 0.
    spectrum = spectrum_of([1.1])
    assert spectrum.finite_horizon(50, "last") == pytest.approx(1.1**10, rel=1e-13)
    assert spectrum.finite_horizon(50, "first") == pytest.approx(1.0, rel=1e-13)


def test_finite_horizon_clips_the_modulus_and_keeps_the_angle():
    pair = 1.2 * np.exp(1j * np.array([0.3, -0.3]))
    spectrum = spectrum_of(pair)
    # 7 steps ahead of the newest hypergradient, k = 12, lie 9 after the last anchor, k = 10.
    expected = 2 * 1.2**10 * np.cos(0.3 * (10 + 9))
    assert spectrum.finite_horizon(7) == pytest.approx(expected, rel=1e-13)


def test_stride_makes_the_tolerance_one_per_training_step():
    # A time constant of 60 steps is steady, however seldom it is looked at.
    decay = np.exp(-1 / 60)
    assert spectrum_of([decay]).steady(0.02).all()
    assert spectrum_of([decay**5], stride=5).steady(0.02).all()
    assert not spectrum_of([decay**5], stride=1).steady(0.02).any()
    assert spectrum_of([decay**5], stride=5).spectral_radius == pytest.approx(decay, rel=1e-14)
    # So is growth: 1.01 a step is 1.05 in five.
    assert not spectrum_of([1.01**5], stride=5).growing(0.02).any()
    assert spectrum_of([1.01**5], stride=1).growing(0.02).all()


def test_magnitudes_follow_the_modes():
    eigenvalues = np.array([1.0, 0.5j, -0.5j])
    modes = np.array([[1, 2 + 1j, 2 - 1j], [5, 3j, -3j]])
    spectrum = spectrum_of(eigenvalues, modes, amplitudes=[-2, 1j, -1j])
    found = spectrum.magnitudes(1, 4)
    expected = np.array([[10, 10, 10, 10], [3, 1.5, 0.75, 0.375], [3, 1.5, 0.75, 0.375]])
    assert np.allclose(found, expected, rtol=1e-14)


def test_magnitudes_count_training_steps():
    spectrum = spectrum_of([0.25], stride=2)
    assert np.allclose(spectrum.magnitudes(0, 4), [[1, 0.5, 0.25, 0.125]], rtol=1e-14)


@pytest.mark.parametrize("rotation", [0.01, 1.0, 3.0])
def test_conjugate_pairs_leave_nothing_imaginary(rotation):
    system = AffineSystem(spiral(0.99, rotation), np.ones(2), np.array([1.0, -1.0]))
    spectrum = HankelDMD().fit(system.trajectory(50), 4)
    weights = spectrum.amplitudes * spectrum.eigenvalues**20
    total = weights @ spectrum.modes[:2].T
    assert np.max(np.abs(np.imag(total))) < 1e-12  # a few roundings of numbers near 1
    assert np.allclose(spectrum.at(20), np.real(total), rtol=0, atol=1e-12)


def test_powers_are_defined_at_zero_and_exact_at_one():
    assert powers(np.array([0j, 1 + 0j, 0j]), np.array([0.0, 1e6, 2.5])).tolist() == [1, 1, 0]


def test_powers_agree_with_repeated_products():
    rng = np.random.default_rng(0)
    base = rng.standard_normal(9) + 1j * rng.standard_normal(9)
    # 12 roundings of products, and an angle times 12.
    assert np.allclose(powers(base, 12), np.prod([base] * 12, axis=0), rtol=1e-13)
    assert np.allclose(powers(base, 0.5) ** 2, base, rtol=1e-14)
    assert np.allclose(powers(base.conj(), 0.3), powers(base, 0.3).conj(), rtol=1e-14)


def test_overflow_far_ahead_is_silent():
    with np.errstate(all="raise"):
        assert not np.isfinite(spectrum_of([10.0]).at(1e6)).any()
