"""The glocal estimate: from a spectrum to the hypergradient at the end of training."""

from dataclasses import dataclass

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.koopman.arrays import Mask, Trajectory, Vector
from glocal_exp.koopman.spectrum import Spectrum

CHOICES = {
    "anchor": ("last", "first", "newest"),
    "fallback": ("nearest", "local", "skip"),
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
        fallback: what to take where no mode is steady: the "nearest" mode to 1 that does not grow
            (with its conjugate), the "local" hypergradient (the newest one), or "skip", a NaN.
        horizon: "infinite" for Eq. 14; "finite" for Eq. 13, all modes run to the end of training,
            |lambda_j| > 1 clipped to 1. Then no mode is dropped and there is no fallback.

    Raises:
        UserError: a setting is out of range.
    """

    unit_tolerance: float | int = 0.02
    anchor: str = "last"
    fallback: str = "nearest"
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

        Returns the estimate, all NaN if there is none (the trajectory is not finite, the fallback
        is "skip", or every mode grows so that "nearest" finds none), and scalars that describe it:

        - `rank`: number of modes;
        - `spectral_radius`: largest |lambda_j|;
        - `nearest_distance`: smallest |lambda_j - 1|; NaN without modes;
        - `steady_modes`, `growing_modes`, `oscillating_modes`: how many modes are steady, grow
          (for the paper a sign of hyperparameters out of range; Eq. 14 drops them), or have a
          modulus within the tolerance of 1 without being steady;
        - `fallback_used`: 1 if there was no steady mode and the fallback stepped in, else 0;
        - `reconstruction_error`: how far the modes are from the trajectory they were fitted to,
          over the snapshots' first blocks, relative in the Frobenius norm.

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
        steady = spectrum.steady(self.unit_tolerance)
        if self.horizon == "finite":
            estimate = spectrum.finite_horizon(steps_left, self.anchor)
        elif steady.any() or not np.any(trajectory):
            estimate = spectrum.select(steady, self.anchor)
        else:
            diagnostics["fallback_used"] = 1.0
            estimate = self._fall_back(spectrum, trajectory)
        return estimate if np.isfinite(estimate).all() else unknown, diagnostics

    def _fall_back(self, spectrum: Spectrum, trajectory: Trajectory) -> Vector:
        if self.fallback == "local":
            return np.asarray(trajectory[-1], dtype=np.float64)
        candidates = ~spectrum.growing(self.unit_tolerance)
        if self.fallback == "skip" or not candidates.any():
            return np.full(spectrum.block_size, np.nan)
        return spectrum.select(_nearest_to_one(spectrum, candidates), self.anchor)

    def _describe(self, spectrum: Spectrum, trajectory: Trajectory) -> dict[str, float]:
        eigenvalues, steady = spectrum.step_eigenvalues, spectrum.steady(self.unit_tolerance)
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
            "reconstruction_error": _reconstruction_error(spectrum, trajectory),
        }


def _nearest_to_one(spectrum: Spectrum, candidates: Mask) -> Mask:
    """The candidate nearest to 1 and, if complex, its conjugate: without it h would not be real."""
    eigenvalues = spectrum.eigenvalues
    distances = np.where(candidates, np.abs(spectrum.step_eigenvalues - 1), np.inf)
    nearest = int(np.argmin(distances))
    mask = np.zeros(spectrum.rank, dtype=bool)
    mask[nearest] = True
    if eigenvalues[nearest].imag != 0:
        mask[int(np.argmin(np.abs(eigenvalues - eigenvalues[nearest].conj())))] = True
    return mask


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
