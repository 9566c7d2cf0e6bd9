"""What noise does to each choice of the decomposition, on affine maps whose answer is known."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex, Float

from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.studies.lab import Lab, Measurement, Row, Unit
from glocal_exp.studies.linear import affine_system, finite, fixed_point

Settings = Mapping[str, Any]
TRIVIAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "last": lambda trajectory: trajectory[-1],
    "mean": lambda trajectory: trajectory.mean(axis=0),
}
"""Estimates that need no decomposition: the newest hypergradient and the window's mean."""


@dataclass(frozen=True, eq=False)
class Draw:
    """h_{t+1} = A h_t + c, seen with white noise, and the answers."""

    trajectory: Float[np.ndarray, "sigma q"]  # what is seen
    steady: Float[np.ndarray, " q"]  # the fixed point
    sizes: Float[np.ndarray, " q"]  # root mean square of each component without noise
    eigenvalues: Complex[np.ndarray, " d"]  # of A, and 1

    def error(self, estimate: Float[np.ndarray, " q"]) -> float:
        """Root mean square over components of the error in units of their size; inf for none."""
        return finite(np.sqrt(np.mean(((estimate - self.steady) / self.sizes) ** 2)))

    def spectral_error(self, estimates: Complex[np.ndarray, " r"]) -> float:
        """The largest relative distance from a true eigenvalue to the nearest estimate."""
        distances = np.abs(self.eigenvalues[:, None] - estimates).min(axis=1)
        return finite(np.max(distances / np.abs(self.eigenvalues)))


def draw(
    rng: np.random.Generator,
    window: int,
    level: float,
    eigenvalues: Sequence[float],
    scales: Sequence[float],
) -> Draw:
    """One trajectory; noise is `level` times the root mean square of each component.

    Args:
        eigenvalues: of A.
        scales: what each hypergradient is multiplied by, one a component.
    """
    known = affine_system(rng, eigenvalues)
    clean = known.trajectory(window) * scales
    sizes = np.sqrt(np.mean(clean**2, axis=0))
    noisy = clean + level * sizes * rng.standard_normal(clean.shape)
    found = np.append(np.linalg.eigvals(known.transition[:-1, :-1]), 1.0)
    return Draw(noisy, fixed_point(known) * scales, sizes, found)


@dataclass(frozen=True)
class NoiseStudy:
    """Errors of the steady state and of the eigenvalues, one row a variant and level of noise.

    `configs/study/noise.yaml` explains the settings.
    """

    systems: Mapping[str, Settings]
    variants: Mapping[str, Settings]
    levels: Sequence[float]
    decays: Sequence[float]
    compared: Mapping[str, Settings]
    window: int
    delays: int
    draws: int
    trains: ClassVar[bool] = False

    def units(self, lab: Lab) -> Iterator[Unit]:
        groups: list[tuple[str, Row, Settings, Mapping[str, Settings]]] = [
            (name, {"comparison": "variants", "system": name}, system, self.variants)
            for name, system in self.systems.items()
        ]
        for decay in self.decays:
            about: Row = {"comparison": "decays", "decay": decay}
            eigenvalues = (decay, 0.8 * decay, 0.6 * decay)
            system = {"eigenvalues": eigenvalues, "scales": (1.0, 1.0, 1.0)}
            groups.append((f"decay={decay:g}", about, system, self.compared))
        for group, about, system, variants in groups:
            for name in (*variants, *TRIVIAL):
                settings = {"delays": self.delays, **variants.get(name, {})}
                summary = partial(summarize, name, **settings)
                measure = partial(self._measure, lab, about | {"variant": name}, system, summary)
                yield Unit(f"{group}-{name}", measure)

    def _measure(
        self, lab: Lab, about: Row, system: Settings, summary: Callable[[list[Draw]], Row]
    ) -> Measurement:
        rows = []
        for level in self.levels:
            rngs = (np.random.default_rng([lab.seed, number]) for number in range(self.draws))
            draws = [draw(rng, self.window, level, **system) for rng in rngs]
            rows.append({**about, "level": level, **summary(draws)})
        return Measurement(rows)


def summarize(variant: str, draws: Sequence[Draw], delays: int, **settings: Any) -> Row:
    """Quartiles over draws, and how often the variant is nearer to the truth than the last h."""
    if variant in TRIVIAL:
        spectral, estimates = [], [TRIVIAL[variant](one.trajectory) for one in draws]
    else:
        spectra = [HankelDMD(**settings).fit(one.trajectory, delays) for one in draws]
        pairs = list(zip(draws, spectra, strict=True))
        spectral = [one.spectral_error(spectrum.eigenvalues) for one, spectrum in pairs]
        steady_state = SteadyStateEstimator().estimate
        estimates = [steady_state(spectrum, one.trajectory, 0)[0] for one, spectrum in pairs]
    last = [one.error(one.trajectory[-1]) for one in draws]
    steady = [one.error(estimate) for one, estimate in zip(draws, estimates, strict=True)]
    better = float(np.mean(np.array(steady) < np.array(last)))
    row: Row = {"draws": len(draws), "beats_last": better, "last": float(np.median(last))}
    return row | quartiles("steady", steady) | quartiles("spectral", spectral)


def quartiles(name: str, values: Sequence[float]) -> Row:
    """Median and quartiles under `name`; nothing of nothing.

    The middle values themselves, not between them: an infinite one leaves the others finite.
    """
    if not values:
        return {}
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), method="nearest")
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}
