"""The transition from one snapshot to the next: step 3 of Hankel DMD, three ways.

Least squares takes the earlier snapshots as exact and puts all noise into the later ones, though
both are the same trajectory. That pulls the eigenvalues towards zero: a steady mode seems to decay.
The other two treat both sides alike.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from glocal_exp.koopman.arrays import ByMode, Modes, SingularValues, Snapshots

RankRule = Callable[[SingularValues], int]


@dataclass(frozen=True, eq=False)
class Transition:
    """What a regression found, in terms of the snapshots it was given."""

    eigenvalues: ByMode  # of the transition
    weights: Complex[np.ndarray, "n r"]  # modes are the chosen snapshots times these
    of_future: bool  # whether the modes are made of the later snapshots or of the earlier ones


def least_squares(past: Snapshots, future: Snapshots, rank: RankRule) -> Transition:
    """The operator that maps `past` to `future` best; exact modes (Tu et al. 2014, Algorithm 2)."""
    left, whitening = _whiten(past, rank)
    eigenvalues, vectors = _eigen(left.T @ future @ whitening)
    return Transition(eigenvalues, whitening @ vectors, of_future=True)


def total_least_squares(past: Snapshots, future: Snapshots, rank: RankRule) -> Transition:
    """Both sides projected on the r leading patterns in time that they share, then least squares.

    Noise that the two sides do not share is cut away before the fit (Hemati et al. 2017). Where r
    is the number of transitions, nothing is cut and it is plain least squares.
    """
    kept = rank(np.linalg.svd(past, compute_uv=False))
    shared = np.linalg.svd(np.vstack([past, future]), full_matrices=False)[2][:kept]
    transition = least_squares(past @ shared.T, future @ shared.T, _numerical_rank)
    return Transition(transition.eigenvalues, shared.T @ transition.weights, transition.of_future)


def forward_backward(past: Snapshots, future: Snapshots, rank: RankRule) -> Transition:
    """The geometric mean of the fit forwards and the inverse of the fit backwards in time.

    Noise biases both fits towards zero by the same factor, which cancels in K_f K_b^-1 = K^2
    (Dawson et al. 2016, Algorithm 3). Of the two roots of each eigenvalue the one closer to what
    the forward fit says in the same direction is taken.
    """
    left, whitening = _whiten(past, rank)
    earlier, later = left.T @ past, left.T @ future
    forward = later @ whitening
    # K_f K_b^-1 with K_b = earlier pinv(later), as a solve for its transpose.
    backward = earlier @ np.linalg.pinv(later)
    squares, vectors = _eigen(np.linalg.solve(backward.T, forward.T).T)
    roots = np.sqrt(squares)
    along = np.diag(np.linalg.solve(vectors, forward @ vectors)) if roots.size else roots
    roots = np.where(np.abs(roots - along) <= np.abs(roots + along), roots, -roots)
    return Transition(roots, whitening @ vectors, of_future=False)


REGRESSIONS: dict[str, Callable[[Snapshots, Snapshots, RankRule], Transition]] = {
    "least_squares": least_squares,
    "total_least_squares": total_least_squares,
    "forward_backward": forward_backward,
}

_EPSILON = 1e-14


def _whiten(past: Snapshots, rank: RankRule) -> tuple[np.ndarray, np.ndarray]:
    """U_r, and V_r S_r^-1, of the singular value decomposition truncated to rank r."""
    left, values, right = np.linalg.svd(past, full_matrices=False)
    kept = rank(values)
    return left[:, :kept], right[:kept].T / values[:kept]


def _numerical_rank(values: SingularValues) -> int:
    return int(np.count_nonzero(values > _EPSILON * values.max(initial=0.0)))


def _eigen(operator: Float[np.ndarray, "r r"]) -> tuple[ByMode, Modes]:
    eigenvalues, vectors = np.linalg.eig(operator)
    return eigenvalues.astype(np.complex128), vectors.astype(np.complex128)
