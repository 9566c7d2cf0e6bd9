"""The linear dynamics that a DMD found: eigenvalues, modes and amplitudes, and what follows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Num

from glocal_exp.koopman.arrays import ByMode, Mask, Modes, Vector

UNCLIPPED = 0.01
"""Choice: growth up to the end of training that a finite horizon does not take for growth."""

# Growing modes may leave the range of float64; whoever uses the numbers checks that.
_OVERFLOW_IS_DATA = np.errstate(over="ignore", invalid="ignore")


@dataclass(frozen=True, eq=False)
class Spectrum:
    """h as a sum of modes b_j lambda_j^k u_j over snapshots k = 0 .. n-1 (Eq. 13).

    Snapshot k is the column g_k = [h_k; ...; h_{k+m-1}], 0-based: its first block, which all the
    estimates below return, is the hypergradient *at its own position*. The last snapshot's first
    block is thus h_{n-1}, m - 1 positions before the newest hypergradient h_{n+m-2}.

    A trajectory that cannot be decomposed has one mode, all of it NaN; a zero one has no modes.

    The anchor of an estimate is the position of the "last" snapshot, of the "first", or of the
    "newest" hypergradient, to which the modes run m - 1 positions beyond the last snapshot.

    Attributes:
        eigenvalues: of the transition from one snapshot to the next.
        modes: exact DMD modes u_j, as columns of m blocks of q rows.
        amplitudes: b_j, referred to snapshot 0.
        block_size: q, the number of hyperparameters.
        snapshots: n, the number of columns.
        stride: training steps from one hypergradient to the next.
        dropped: modes without an amplitude of their own, since their shapes are those of others.
    """

    eigenvalues: ByMode
    modes: Modes
    amplitudes: ByMode
    block_size: int
    snapshots: int
    stride: int = 1
    dropped: int = 0

    @property
    def rank(self) -> int:
        """Number of modes."""
        return self.eigenvalues.size

    @property
    def delays(self) -> int:
        """Number m of hypergradients in a snapshot."""
        return self.modes.shape[0] // self.block_size

    @property
    def step_eigenvalues(self) -> ByMode:
        """Eigenvalues per training step: the principal roots lambda_j^(1 / stride)."""
        return self.eigenvalues if self.stride == 1 else powers(self.eigenvalues, 1 / self.stride)

    @property
    def spectral_radius(self) -> float:
        """Largest modulus of an eigenvalue per training step; 0 without modes."""
        return float(np.max(np.abs(self.step_eigenvalues), initial=0.0))

    def steady(self, unit_tolerance: float | int) -> Mask:
        """Which modes count as constant in Eq. 14: |lambda_j - 1| <= tolerance, per step."""
        return np.abs(self.step_eigenvalues - 1) <= unit_tolerance

    def growing(self, unit_tolerance: float | int) -> Mask:
        """Which modes grow, |lambda_j| > 1 + tolerance per training step."""
        return np.abs(self.step_eigenvalues) > 1 + unit_tolerance

    @_OVERFLOW_IS_DATA
    def at(self, snapshot: float | int | Num[np.ndarray, "..."]) -> Float[np.ndarray, "... q"]:
        """Real part of sum_j b_j lambda_j^k u_j, first q rows (Eq. 13), for one k or several.

        k counts hypergradients (not training steps) from the first; it may lie beyond the data.
        """
        factors = powers(self.eigenvalues, np.asarray(snapshot, dtype=np.float64)[..., None])
        return self._combine(self.amplitudes * factors)

    def steady_state(self, unit_tolerance: float | int, anchor: str = "last") -> Vector:
        """The hypergradient that remains as t goes to infinity (Eq. 14); zeros without such modes.

        Eigenvalues near 1 but not equal to it still move within the window, so their modes are
        taken with lambda_j^k at the anchor's k.
        """
        return self.select(self.steady(unit_tolerance), anchor)

    @_OVERFLOW_IS_DATA
    def select(self, mask: Mask, anchor: str = "last") -> Vector:
        """Real part of the sum of b_j lambda_j^k u_j over chosen modes, k that of the anchor."""
        # Not times the mask: a growing mode left out may be infinite by then.
        return self._combine(np.where(mask, self._anchored(anchor), 0))

    @_OVERFLOW_IS_DATA
    def sizes(self, anchor: str = "last") -> Float[np.ndarray, " r"]:
        """|b_j lambda_j^k u_j| over all hyperparameters, k that of the anchor."""
        norms = np.linalg.norm(self.modes[: self.block_size], axis=0)
        return np.abs(self._anchored(anchor)) * norms

    @_OVERFLOW_IS_DATA
    def finite_horizon(self, steps_ahead: float | int, anchor: str = "last") -> Vector:
        """Eq. 13 at `steps_ahead` training steps after the newest hypergradient, all modes.

        Up to the anchor every mode runs as fitted, from there on with |lambda_j| clipped to 1,
        unless it grows by less than `UNCLIPPED` in all: rounding makes of the double eigenvalue 1
        of a linear drift a pair beside it that is real or complex, as chance has it, and clipping
        one half of a real one would halve the drift. The
        clipped part starts at the anchor's own position: m - 1 (last), n + m - 2 (first) or 0
        hypergradients before the newest.
        """
        start, newest = self._anchor_position(anchor), self._anchor_position("newest")
        ahead, moduli = newest - start + steps_ahead / self.stride, np.abs(self.eigenvalues)
        clipped = np.where(
            moduli**ahead > 1 + UNCLIPPED, self.eigenvalues / moduli, self.eigenvalues
        )
        return self._combine(self._anchored(anchor) * powers(clipped, ahead))

    @_OVERFLOW_IS_DATA
    def magnitudes(self, component: int, steps: int) -> Float[np.ndarray, "r steps"]:
        """|b_j lambda_j^t u_j| of one hyperparameter (Fig. 4, middle).

        t = 0 .. steps - 1 counts training steps from the first hypergradient.
        """
        factors = powers(self.eigenvalues[:, None], np.arange(steps) / self.stride)
        return np.abs((self.amplitudes * self.modes[component])[:, None] * factors)

    def _anchor_position(self, anchor: str) -> int:
        last = self.snapshots - 1
        return {"last": last, "first": 0, "newest": last + self.delays - 1}[anchor]

    def _anchored(self, anchor: str) -> ByMode:
        return self.amplitudes * powers(self.eigenvalues, self._anchor_position(anchor))

    def _combine(self, weights: Complex[np.ndarray, "... r"]) -> Float[np.ndarray, "... q"]:
        return np.real(weights @ self.modes[: self.block_size].T)


def powers(
    base: Complex[np.ndarray, "..."], exponents: float | int | Num[np.ndarray, "..."]
) -> Complex[np.ndarray, "..."]:
    """base ** exponents for real exponents, by modulus and principal angle.

    Unlike NumPy's complex power it is defined at 0 (0 ** 0 = 1) and exact at 1. Conjugate bases
    give conjugate powers; a negative real base, whose root is not real, gives the one of the two
    with positive angle, of which the real part is taken in the end.
    """
    return np.abs(base) ** exponents * np.exp(1j * exponents * np.angle(base))
