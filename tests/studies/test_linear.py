import numpy as np
import pytest

from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.studies.linear import affine_system, fixed_point, linear_system


@pytest.mark.parametrize("skew", [0.0, 3.0])
def test_a_linear_system_has_the_eigenvalues_asked_for(skew):
    known = linear_system(np.random.default_rng(0), [1, 0.9, 0.5 + 0.3j], skew)
    found = np.sort_complex(np.linalg.eigvals(known.transition))
    # Skewed eigenvectors have a condition number of about 1e2.
    np.testing.assert_allclose(found, [0.5 - 0.3j, 0.5 + 0.3j, 0.9, 1], rtol=0, atol=1e-12)


def test_without_skew_it_is_normal():
    matrix = linear_system(np.random.default_rng(0), [1, 0.5 + 0.3j]).transition
    np.testing.assert_allclose(matrix @ matrix.T, matrix.T @ matrix, rtol=0, atol=1e-14)


def test_an_affine_system_runs_to_its_fixed_point():
    known = affine_system(np.random.default_rng(0), [0.9, -0.5, 0.7])
    fixed = fixed_point(known)
    assert np.linalg.norm(fixed) == pytest.approx(1)
    trajectory = known.trajectory(400)
    assert np.linalg.norm(trajectory[0] - fixed) == pytest.approx(1)
    # 0.9 ** 399 is 1e-18.
    np.testing.assert_allclose(trajectory[-1], fixed, rtol=0, atol=1e-13)


@pytest.mark.parametrize("delays", [2, 4])
def test_the_operator_moves_embedded_snapshots_on(delays):
    known = affine_system(np.random.default_rng(1), [0.9, -0.5, 0.7])
    snapshots = delay_embedding(known.trajectory(30), delays)
    operator = known.operator(delays)
    np.testing.assert_allclose(operator @ snapshots[:, :-1], snapshots[:, 1:], rtol=0, atol=1e-12)
    values = np.sort(np.abs(np.linalg.eigvals(operator)))
    np.testing.assert_allclose(values[-4:], [0.5, 0.7, 0.9, 1], rtol=0, atol=1e-12)


def test_shocks_stay_in_the_trajectory():
    known = linear_system(np.random.default_rng(2), [1, 0.5])
    shocks = np.zeros((10, 2))
    shocks[3] = [1.0, -2.0]
    moved = known.trajectory(10, shocks) - known.trajectory(10)
    expected = [np.linalg.matrix_power(known.transition, k) @ shocks[3] for k in range(7)]
    np.testing.assert_allclose(moved, [[0, 0]] * 3 + expected, rtol=0, atol=1e-14)
