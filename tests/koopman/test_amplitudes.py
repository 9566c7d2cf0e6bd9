import numpy as np
import pytest

from glocal_exp.koopman.amplitudes import fit_all, fit_first


def problem(seed, modulus, rank=6, rows=15, count=40):
    """Conjugate pairs of modes and snapshots that they do not explain entirely."""
    rng = np.random.default_rng(seed)
    half = modulus * np.exp(1j * rng.uniform(0.2, 2.9, rank // 2))
    eigenvalues = np.concatenate([half, half.conj()])
    half = rng.standard_normal((rows, rank // 2)) + 1j * rng.standard_normal((rows, rank // 2))
    modes = np.concatenate([half, half.conj()], axis=1)
    return eigenvalues, modes, rng.standard_normal((rows, count))


def stacked(eigenvalues, modes, count):
    """The matrix of the least-squares problem over all snapshots, written out."""
    return np.concatenate([modes * eigenvalues**k for k in range(count)])


def test_first_is_least_squares_on_the_first_snapshot():
    eigenvalues, modes, snapshots = problem(0, 0.9)
    expected = np.linalg.pinv(modes) @ snapshots[:, 0]
    # Both solve a problem of condition number below 1e2.
    assert np.allclose(fit_first(eigenvalues, modes, snapshots)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("modulus", [0.5, 0.95, 1.0, 1.1, np.array([0.7, 1.0, 1.2])])
def test_all_is_least_squares_on_all_snapshots(modulus):
    eigenvalues, modes, snapshots = problem(1, modulus)
    matrix = stacked(eigenvalues, modes, snapshots.shape[1])
    # Columns are scaled alike first: with growing modes they differ by 1.2 ** 40.
    norms = np.linalg.norm(matrix, axis=0)
    expected = np.linalg.lstsq(matrix / norms, snapshots.T.reshape(-1), rcond=None)[0] / norms
    assert np.allclose(fit_all(eigenvalues, modes, snapshots)[0], expected, rtol=1e-9)


def test_all_recovers_amplitudes_despite_the_squared_condition_number():
    eigenvalues = np.array([1.0, 0.999, 0.99, 0.9], dtype=complex)
    modes = np.ones((1, 4), dtype=complex)
    amplitudes = np.array([1.0, -2.0, 3.0, -4.0])
    powers = eigenvalues[:, None] ** np.arange(70)
    snapshots = ((modes * amplitudes) @ powers).real
    condition = np.linalg.cond(powers.T)
    assert condition > 1e3  # squared above 1e6
    # Rounding alone allows condition * 1e-16; uncorrected normal equations lose its square.
    error = np.max(np.abs(fit_all(eigenvalues, modes, snapshots)[0] - amplitudes))
    assert error < 100 * condition * np.finfo(float).eps * np.linalg.norm(amplitudes)


def test_all_stays_finite_where_powers_would_overflow():
    eigenvalues = np.array([1e8, 0.5], dtype=complex)
    modes = np.eye(2, dtype=complex)
    snapshots = np.zeros((2, 50))
    snapshots[0, -1], snapshots[1] = 1e8, 0.5 ** np.arange(50)
    amplitudes, dropped = fit_all(eigenvalues, modes, snapshots)
    assert dropped == 0
    assert np.all(np.isfinite(amplitudes))
    assert amplitudes[1] == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("fit", [fit_first, fit_all])
def test_a_mode_that_is_zero_gets_a_finite_amplitude(fit):
    eigenvalues, modes, snapshots = problem(2, 0.9)
    with_zero, dropped = fit(np.append(eigenvalues, 0), np.pad(modes, ((0, 0), (0, 1))), snapshots)
    assert np.all(np.isfinite(with_zero))
    assert np.allclose(with_zero[:-1], fit(eigenvalues, modes, snapshots)[0], rtol=1e-10)
    assert dropped == 1


@pytest.mark.parametrize("fit", [fit_first, fit_all])
@pytest.mark.parametrize("equal", [1, 2])
def test_modes_that_cannot_be_told_apart_are_counted(fit, equal):
    eigenvalues, modes, snapshots = problem(3, 0.9)
    assert fit(eigenvalues, modes, snapshots)[1] == 0
    repeated = np.append(eigenvalues, eigenvalues[:equal])
    amplitudes, dropped = fit(repeated, np.hstack([modes, modes[:, :equal]]), snapshots)
    assert dropped == equal
    # The sum of the two amplitudes is that of the one mode.
    amplitudes[:equal] += amplitudes[-equal:]
    expected = fit(eigenvalues, modes, snapshots)[0]
    assert np.allclose(amplitudes[:-equal], expected, rtol=1e-9)
