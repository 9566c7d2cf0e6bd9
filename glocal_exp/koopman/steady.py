"""The glocal estimate: from a spectrum to the hypergradient at the end of training."""

from dataclasses import dataclass

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.koopman.arrays import Mask, Trajectory, Vector
from glocal_exp.koopman.spectrum import Spectrum

LARGEST = 10.0
"""Choice: an estimate that is longer than so many times the longest h of its window is none."""
NEGLIGIBLE = 1e-5
"""Choice: nor is a mode that is below this share of it where it is read: float32 rounds h to 1e-7
of its size, and a fit enlarges that."""
CHOICES = {
    "anchor": ("last", "first", "newest"),
    "fallback": ("local", "nearest", "skip"),
    "horizon": ("infinite", "finite"),
}


@dataclass(frozen=True)
class SteadyStateEstimator:
    """How the global hypergradient is read off the spectrum of the local ones (Eqs. 13 and 14).

    Attributes:
        unit_tolerance: a mode is steady if |lambda_j - 1| is at most this, and grows if |lambda_j|
            is above 1 plus this; both per training step.
        anchor: where steady modes are evaluated: at the position of the "last" snapshot or of the
            "first", or at that of the "newest" hypergradient.
        fallback: what to take where no mode is steady: the "local" hypergradient (the newest one),
            the modes "nearest" to 1 that do not grow, or "skip", a NaN.
        horizon: "infinite" for Eq. 14; "finite" for Eq. 13, all modes run to the end of training,
            |lambda_j| > 1 clipped to 1. Then no mode is dropped and there is no fallback.

    Nearest are all within the tolerance of the nearest's distance, a conjugate and what belongs
    together, of the modes that are not `NEGLIGIBLE` at the anchor. The derivative of mu^t by mu is
    t mu^(t-1): hypergradients of descent have double eigenvalues, which rounding splits into two
    with amplitudes that are huge and cancel. Where noise makes half of such a pair look steady and
    the other not, the estimate is longer than any h of the window ever was, and the newest h is
    taken instead, or NaN by "skip".

    Raises:
        UserError: a setting is out of range.
    """

    unit_tolerance: float | int = 0.02
    anchor: str = "last"
    fallback: str = "local"
    horizon: str = "infinite"

    def __post_init__(self) -> None:
        if not 0 <= self.unit_tolerance < 1:
            raise UserError(
                f"The unit tolerance is at least 0 and below 1, not {self.unit_tolerance}: choose "
                f"a small one such as 0.02."
            )
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise UserError(
                    f"The {name} of the steady state is one of {', '.join(choices)}, "
                    f"not {value!r}: choose one of these."
                )

    def estimate(
        self, spectrum: Spectrum, trajectory: Trajectory, steps_left: float | int
    ) -> tuple[Vector, dict[str, float]]:
        """Estimate the hypergradient after all training from the spectrum of a trajectory.

        Modes that are `NEGLIGIBLE` beside h count for nothing: rounding's own, and what has died
        out by the anchor. Returns the estimate, all NaN if there is none (the trajectory is not
        finite, the fallback is "skip", or every mode that is left grows so that "nearest" finds
        none), and scalars that describe it:

        - `rank`: number of modes;
        - `spectral_radius`: largest |lambda_j|;
        - `nearest_distance`: smallest |lambda_j - 1|; NaN without modes;
        - `steady_modes`, `growing_modes`, `oscillating_modes`: how many modes are steady, grow
          (for the paper a sign of hyperparameters out of range; Eq. 14 drops them), or have a
          modulus within the tolerance of 1 without being steady;
        - `fallback_used`: 1 if there was no steady mode and the fallback stepped in, else 0;
        - `outsized`: 1 if it was more than `LARGEST` times as long as any h, and replaced, else 0;
        - `dropped_modes`: how many have no amplitude that the fit could tell from the others';
        - `reconstruction_error`: how far the modes are from the trajectory they were fitted to,
          over the snapshots' first blocks, relative in the Frobenius norm; no modes at all have 1.

        Eigenvalues are those per training step.

        Args:
            spectrum: fitted to the trajectory.
            trajectory: hypergradients h, the newest last.
            steps_left: training steps from the newest h to the end; used by the finite horizon.
        """
        diagnostics = self._describe(spectrum, trajectory)
        unknown = np.full(spectrum.block_size, np.nan)
        if not np.isfinite(trajectory).all():
            return unknown, diagnostics
        longest = _longest(trajectory)
        there = spectrum.sizes(self.anchor) >= NEGLIGIBLE * longest
        steady = self.steady(spectrum) & there
        if self.horizon == "finite":
            estimate = spectrum.finite_horizon(steps_left, self.anchor)
        elif steady.any() or not np.any(trajectory):
            estimate = spectrum.select(steady, self.anchor)
        else:
            diagnostics["fallback_used"] = 1.0
            estimate = self._fall_back(spectrum, trajectory, there)
            if not np.isfinite(estimate).all():
                return unknown, diagnostics
        length = _longest(estimate[None])
        if not length <= LARGEST * longest:  # nor is infinity, or NaN
            diagnostics["outsized"] = 1.0
            newest = np.array(trajectory[-1], np.float64)
            return unknown if self.fallback == "skip" else newest, diagnostics
        return estimate if length >= NEGLIGIBLE * longest else unknown, diagnostics

    def steady(self, spectrum: Spectrum) -> Mask:
        """Which modes Eq. 14 keeps."""
        return spectrum.steady(self.unit_tolerance)

    def _fall_back(self, spectrum: Spectrum, trajectory: Trajectory, there: Mask) -> Vector:
        if self.fallback == "local":
            return np.asarray(trajectory[-1], dtype=np.float64)
        candidates = there & ~spectrum.growing(self.unit_tolerance)
        if self.fallback == "skip" or not candidates.any():
            return np.full(spectrum.block_size, np.nan)
        distances = np.where(candidates, np.abs(spectrum.step_eigenvalues - 1), np.inf)
        # A little more than equal, for conjugates where the tolerance is 0.
        near = distances <= distances.min() * (1 + 1e-9) + self.unit_tolerance
        return spectrum.select(near, self.anchor)

    def _describe(self, spectrum: Spectrum, trajectory: Trajectory) -> dict[str, float]:
        eigenvalues, steady = spectrum.step_eigenvalues, self.steady(spectrum)
        on_circle = np.abs(np.abs(eigenvalues) - 1) <= self.unit_tolerance
        distances = np.abs(eigenvalues - 1)
        return {
            "rank": float(np.count_nonzero(np.isfinite(eigenvalues))),
            "spectral_radius": spectrum.spectral_radius,
            "nearest_distance": float(np.min(distances)) if spectrum.rank else float("nan"),
            "steady_modes": float(np.count_nonzero(steady)),
            "growing_modes": float(np.count_nonzero(spectrum.growing(self.unit_tolerance))),
            "oscillating_modes": float(np.count_nonzero(on_circle & ~steady)),
            "fallback_used": 0.0,
            "outsized": 0.0,
            "dropped_modes": float(spectrum.dropped),
            "reconstruction_error": _reconstruction_error(spectrum, trajectory),
        }


def _longest(trajectory: Trajectory) -> float:
    """The largest Euclidean norm of a row; NaN or infinite if one is."""
    peak = float(np.abs(trajectory).max())  # squares of large numbers overflow
    if peak == 0 or not np.isfinite(peak):
        return peak
    with np.errstate(over="ignore"):
        return float(peak * np.linalg.norm(trajectory / peak, axis=1).max())


def _reconstruction_error(spectrum: Spectrum, trajectory: Trajectory) -> float:
    """|reconstruction - h| / |h| over the snapshots' positions; 0 for a zero trajectory."""
    observed = np.asarray(trajectory[: spectrum.snapshots], dtype=np.float64)
    peak = np.abs(observed).max()
    if peak == 0:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        # Divided by the peak, since squares of large numbers overflow.
        error = (spectrum.at(np.arange(spectrum.snapshots)) - observed) / peak
        return float(np.linalg.norm(error) / np.linalg.norm(observed / peak))
