"""Hankel dynamic mode decomposition of a trajectory of hypergradients."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Complex

from glocal_exp.errors import UserError
from glocal_exp.koopman.amplitudes import FITS
from glocal_exp.koopman.arrays import ByMode, Modes, Snapshots, Trajectory, Vector
from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.koopman.rank import check_rank_rule, select_rank
from glocal_exp.koopman.regression import REGRESSIONS
from glocal_exp.koopman.spectrum import Spectrum

CHOICES = {"amplitudes": FITS, "regression": REGRESSIONS, "scaling": ("none", "component")}


@dataclass(frozen=True)
class HankelDMD:
    """Settings of Hankel DMD (Section 4; Arbabi & Mezic 2017), with exact modes (Tu et al. 2014).

    Attributes:
        rank: "full" (the numerical rank), a whole number, a share of energy between 0 and 1, or
            "hard_threshold" (Gavish & Donoho 2014).
        rank_tolerance: singular values below this share of the largest count as zero, whatever
            the rule.
        amplitudes: "first" fits them to the first snapshot, "all" to all snapshots.
        regression: how the transition is fitted: "least_squares" (the paper's), or one that noise
            does not bias, "total_least_squares" or "forward_backward".
        scaling: "none", or "component": each hyperparameter's trajectory is divided by its root
            mean square before the fit and multiplied back after it. That matters where the rank
            is cut, or is below the size m q of a snapshot: truncation and least squares then no
            longer favour the hyperparameters whose hypergradients happen to be large.

    Raises:
        UserError: a setting is out of range.
    """

    rank: str | int | float = "full"
    rank_tolerance: float | int = 1e-12
    amplitudes: str = "first"
    regression: str = "least_squares"
    scaling: str = "none"

    def __post_init__(self) -> None:
        check_rank_rule(self.rank)
        if not 0 <= self.rank_tolerance < 1:
            raise UserError(
                f"The rank tolerance is a share of the largest singular value, at least 0 and "
                f"below 1, not {self.rank_tolerance}: choose a small one such as 1e-12."
            )
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UserError(
                    f"What the DMD has for {name} is one of {', '.join(choices)}, not {value!r}: "
                    f"choose one of these."
                )

    def fit(self, trajectory: Trajectory, delays: int, stride: int = 1) -> Spectrum:
        """Decompose a trajectory of hypergradients, one row every `stride` training steps.

        A trajectory that is not finite (or whose decomposition does not converge) is no error: its
        Spectrum is all NaN, so that what is estimated from it is NaN too.

        Raises:
            UserError: the shape is wrong, or delays do not leave two snapshots.
        """
        if stride < 1:
            raise UserError(f"The stride is at least 1 training step, not {stride}: raise it.")
        trajectory = np.asarray(trajectory, dtype=np.float64)
        finite = bool(np.isfinite(trajectory).all())
        # Powers of two, so that scaling there and back is exact.
        scales = _powers_of_two(self._sizes(trajectory)) if finite else np.ones(1)
        snapshots = delay_embedding(trajectory / scales, delays)
        try:
            if not finite:
                raise np.linalg.LinAlgError("The trajectory is not finite.")
            eigenvalues, modes, amplitudes, dropped = self._decompose(snapshots)
        except np.linalg.LinAlgError:
            dropped = 0
            eigenvalues = amplitudes = np.full(1, np.nan, dtype=np.complex128)
            modes = np.full((snapshots.shape[0], 1), np.nan, dtype=np.complex128)
        size, count = trajectory.shape[1], snapshots.shape[1]
        blocks = modes.reshape(delays, size, eigenvalues.size) * scales[:, None]
        modes = blocks.reshape(modes.shape)
        return Spectrum(eigenvalues, modes, amplitudes, size, count, stride, dropped)

    def _sizes(self, trajectory: Trajectory) -> Vector:
        """What each hyperparameter's column is divided by, up to rounding to a power of two."""
        peaks = np.abs(trajectory).max(axis=0, initial=0.0)
        if self.scaling == "none":
            return np.full_like(peaks, peaks.max(initial=0.0))
        units = np.where(peaks > 0, peaks, 1.0)
        return units * np.sqrt(np.mean((trajectory / units) ** 2, axis=0))

    def _decompose(self, snapshots: Snapshots) -> tuple[ByMode, Modes, ByMode, int]:
        # DMD needs the snapshots only up to a rotation, and R of G = Q R is one with n rows.
        tall = snapshots.shape[0] > snapshots.shape[1]
        reduced = np.asarray(np.linalg.qr(snapshots, mode="r")) if tall else snapshots
        past, future = reduced[:, :-1], reduced[:, 1:]
        shape = (snapshots.shape[0], past.shape[1])
        rank = partial(select_rank, shape=shape, rule=self.rank, tolerance=self.rank_tolerance)
        transition = REGRESSIONS[self.regression](past, future, rank)
        weights = np.ascontiguousarray(transition.weights)
        side = slice(1, None) if transition.of_future else slice(None, -1)
        modes = _real_times(reduced[:, side], weights)
        amplitudes, dropped = FITS[self.amplitudes](transition.eigenvalues, modes, reduced)
        modes = _real_times(snapshots[:, side], weights)
        return transition.eigenvalues, modes, amplitudes, dropped


def _powers_of_two(sizes: Vector) -> Vector:
    """The largest power of two in each; 1 for a zero."""
    return np.ldexp(1.0, np.where(sizes > 0, np.frexp(sizes)[1] - 1, 0))


def _real_times(real: Snapshots, weights: Complex[np.ndarray, "n r"]) -> Modes:
    """real @ weights as one real product, at half the cost of a complex one."""
    return (real @ weights.view(np.float64)).view(np.complex128)
