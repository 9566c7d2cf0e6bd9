"""Amplitudes b_j of given modes and eigenvalues: step 4 of Hankel DMD.

A fit returns them and the number of modes that it could not tell apart: of equal ones only the sum
of their amplitudes is known, which the smallest solution shares out among them.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float

from glocal_exp.koopman.arrays import ByMode, Modes, Snapshots


def fit_first(eigenvalues: ByMode, modes: Modes, snapshots: Snapshots) -> tuple[ByMode, int]:
    """b that minimises |sum_j b_j u_j - g_0|: the classical choice."""
    norms, first = _norms(modes), snapshots[:, 0].astype(np.complex128)
    solution, _, rank, _ = np.linalg.lstsq(modes / norms, first, rcond=None)
    return solution / norms, modes.shape[1] - int(rank)


def fit_all(eigenvalues: ByMode, modes: Modes, snapshots: Snapshots) -> tuple[ByMode, int]:
    """b that minimises sum_k |sum_j b_j lambda_j^k u_j - g_k|^2 over all snapshots.

    Closed form of Jovanovic, Schmid & Nichols (2014), Eq. 10: P b = p with
    P = (U^H U) o conj(L L^H) and p = conj(diag(L G^H U)), L_jk = lambda_j^k.
    """
    # Growing modes are referred to the last snapshot instead of the first: no power overflows.
    last = snapshots.shape[1] - 1
    growing = np.abs(eigenvalues) > 1
    bases = np.where(growing, 1 / np.where(growing, eigenvalues, 1), eigenvalues)
    dynamics = np.vander(bases, last + 1, increasing=True)
    dynamics[growing] = dynamics[growing, ::-1]

    norms = _norms(modes) * _norms(dynamics.T)
    modes = modes / _norms(modes)
    dynamics = dynamics / _norms(dynamics.T)[:, None]
    gram = (modes.conj().T @ modes) * (dynamics @ dynamics.conj().T).conj()
    inverse = np.linalg.pinv(gram, rcond=_GRAM_TOLERANCE, hermitian=True)

    solution = np.zeros_like(eigenvalues)
    # The normal equations square the condition number; correcting the residual regains the digits.
    for _ in range(3):
        residual = snapshots - (modes * solution) @ dynamics
        projected = np.einsum("jk,kj->j", dynamics.conj(), residual.T @ modes.conj())
        solution = solution + inverse @ projected
    scale = np.ones_like(eigenvalues)
    scale[growing] = bases[growing] ** last
    rank = np.linalg.matrix_rank(gram, rtol=_GRAM_TOLERANCE, hermitian=True)
    return solution * scale / norms, modes.shape[1] - int(rank)


FITS: dict[str, Callable[[ByMode, Modes, Snapshots], tuple[ByMode, int]]] = {
    "first": fit_first,
    "all": fit_all,
}

# Directions that the normal equations cannot tell from rounding errors.
_GRAM_TOLERANCE = 1e-14


def _norms(columns: Complex[np.ndarray, "d r"]) -> Float[np.ndarray, " r"]:
    norms = np.linalg.norm(columns, axis=0)
    return np.where(norms > 0, norms, 1.0)
