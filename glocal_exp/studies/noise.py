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

TRIVIAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "last": lambda trajectory: trajectory[-1],
    "mean": lambda trajectory: trajectory.mean(axis=0),
}
"""Estimates that need no decomposition: the newest hypergradient and the window's mean."""


@dataclass(frozen=True)
class Case:
    """h_{t+1} = A h_t + c, seen with white noise.

    Attributes:
        eigenvalues: of A.
        scales: what each hypergradient is multiplied by, one a component.
    """

    eigenvalues: Sequence[float]
    scales: Sequence[float]

    def draw(self, rng: np.random.Generator, window: int, level: float) -> "Draw":
        """One trajectory; noise is `level` times the root mean square of each component."""
        known = affine_system(rng, self.eigenvalues)
        scales = np.asarray(self.scales)
        clean = known.trajectory(window) * scales
        sizes = np.sqrt(np.mean(clean**2, axis=0))
        noisy = clean + level * sizes * rng.standard_normal(clean.shape)
        eigenvalues = np.append(np.linalg.eigvals(known.transition[:-1, :-1]), 1.0)
        return Draw(noisy, fixed_point(known) * scales, sizes, eigenvalues)


@dataclass(frozen=True, eq=False)
class Draw:
    """A noisy trajectory, with the answers.

    Attributes:
        trajectory: what is seen.
        steady: the fixed point.
        sizes: root mean square of each component without noise.
        eigenvalues: of A, and 1.
    """

    trajectory: Float[np.ndarray, "sigma q"]
    steady: Float[np.ndarray, " q"]
    sizes: Float[np.ndarray, " q"]
    eigenvalues: Complex[np.ndarray, " d"]

    def error(self, estimate: Float[np.ndarray, " q"]) -> float:
        """Root mean square over components of the error in units of their size; inf for none."""
        return finite(np.sqrt(np.mean(((estimate - self.steady) / self.sizes) ** 2)))

    def spectral_error(self, estimates: Complex[np.ndarray, " r"]) -> float:
        """The largest relative distance from a true eigenvalue to the nearest estimate."""
        distances = np.abs(self.eigenvalues[:, None] - estimates).min(axis=1)
        return finite(np.max(distances / np.abs(self.eigenvalues)))


@dataclass(frozen=True)
class NoiseStudy:
    """Errors of the steady state and of the eigenvalues, one row a variant and level of noise.

    Attributes:
        systems: by name, the fields of `Case`.
        variants: by name, settings of `HankelDMD`; all see the same draws.
        levels: of noise, in units of each component's root mean square.
        decays: slowest eigenvalues of the systems on which the last hypergradient is compared with
            DMD; the others are 0.8 and 0.6 times that.
        compared: by name, settings of `HankelDMD` for that comparison, and `delays` of their own.
        window: sigma.
        delays: m of the variants.
        draws: of each setting.
    """

    systems: Mapping[str, Mapping[str, Any]]
    variants: Mapping[str, Mapping[str, Any]]
    levels: Sequence[float]
    decays: Sequence[float]
    compared: Mapping[str, Mapping[str, Any]]
    window: int
    delays: int
    draws: int
    trains: ClassVar[bool] = False

    def units(self, lab: Lab) -> Iterator[Unit]:
        groups: dict[str, tuple[Row, Case, Mapping[str, Any]]] = {
            name: ({"comparison": "variants", "system": name}, Case(**settings), self.variants)
            for name, settings in self.systems.items()
        }
        for decay in self.decays:
            case = Case((decay, 0.8 * decay, 0.6 * decay), (1.0, 1.0, 1.0))
            about: Row = {"comparison": "decays", "decay": decay}
            groups[f"decay={decay:g}"] = about, case, self.compared
        for group, (about, case, variants) in groups.items():
            for variant in (*variants, *TRIVIAL):
                settings = variants.get(variant, {})
                measure = partial(self._measure, lab.seed, about, variant, case, settings)
                yield Unit(f"{group}-{variant}", measure)

    def _measure(
        self, seed: int, about: Row, variant: str, case: Case, settings: Mapping[str, Any]
    ) -> Measurement:
        about = about | {"variant": variant}
        errors = partial(self._errors, seed, variant, case, **{"delays": self.delays, **settings})
        return Measurement([{**about, "level": level} | errors(level) for level in self.levels])

    def _errors(
        self, seed: int, variant: str, case: Case, level: float, delays: int, **settings: Any
    ) -> Row:
        """Quartiles over draws, and how often DMD is nearer to the truth than the last h."""
        steady, spectral, last = [], [], []
        for number in range(self.draws):
            draw = case.draw(np.random.default_rng([seed, number]), self.window, level)
            last.append(draw.error(draw.trajectory[-1]))
            if variant in TRIVIAL:
                steady.append(draw.error(TRIVIAL[variant](draw.trajectory)))
                continue
            spectrum = HankelDMD(**settings).fit(draw.trajectory, delays)
            estimate, _ = SteadyStateEstimator().estimate(spectrum, draw.trajectory, 0)
            steady.append(draw.error(estimate))
            spectral.append(draw.spectral_error(spectrum.eigenvalues))
        better = float(np.mean(np.array(steady) < np.array(last)))
        row: Row = {"draws": self.draws, "beats_last": better, "last": float(np.median(last))}
        return row | quartiles("steady", steady) | quartiles("spectral", spectral)


def quartiles(name: str, values: Sequence[float]) -> Row:
    """Median and quartiles under `name`; nothing of nothing.

    The middle values themselves, not between them: an infinite one leaves the others finite.
    """
    if not values:
        return {}
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), method="nearest")
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}
