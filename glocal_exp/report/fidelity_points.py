"""The fidelity study's records as points: trajectories of h_t, and truths to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.methods.method import Measured, Wanted
from glocal_exp.report import points as study_points
from glocal_exp.report.artifact import Context
from glocal_exp.report.vectors import Vector
from glocal_exp.store.studies import unit_arrays


@dataclass(frozen=True, kw_only=True)
class Point(study_points.Point):
    """What was played out from the start of an interval too; of the interval itself all h_t.

    Attributes:
        playouts: by variation, h at the end of each interval up to T.
        slopes: of the final loss by finite differences, one row a start.
    """

    playouts: dict[str, Float[np.ndarray, "intervals q"]]
    slopes: Float[np.ndarray, "starts q"]

    def holds(self, wanted: Wanted) -> bool:
        return not replace(wanted, steps=(), sharpness=False)

    def measured(self, interval: str, wanted: Wanted) -> Measured:
        return Measured(self.intervals[interval][list(wanted.steps)])

    @property
    def truths(self) -> dict[str, Vector]:
        """h_T of each playout that stayed finite."""
        ends = {name: h[-1] for name, h in self.playouts.items()}
        return {name: h for name, h in ends.items() if np.isfinite(h).all()}


def differences(
    found: Mapping[str, Float[np.ndarray, "n q"]], first: str, second: str, steps: int = 1
) -> pd.Series:
    """|h_t - h'_t| / |h_t| by t, every so many steps; empty where one of the two is missing."""
    if first not in found or second not in found:
        return pd.Series(dtype=float)
    h, other = found[first], found[second]
    apart = np.linalg.norm(h - other, axis=1) / np.linalg.norm(h, axis=1)
    return pd.Series(apart, index=steps * np.arange(1, len(apart) + 1))


def points(context: Context) -> tuple[list[Point], str]:
    """Every point with a truth, and their provenance, as `report.points.points` has them."""
    return study_points.points(context, "fidelity", _point)


def by_setting(found: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each setting, in whose order they are."""
    return {name: list(of) for name, of in groupby(found, lambda point: point.setting)}


def _point(folder: str, frame: pd.DataFrame, about: dict[str, Any]) -> Point | None:
    if not ((frame.kind == "truth") & (frame.variation == "base")).any():
        return None
    intervals, playouts = (
        {
            unit.removeprefix(prefix): unit_arrays(folder, unit)["h"]
            for unit in frame.unit.unique()
            if unit.startswith(prefix)
        }
        for prefix in (f"s{about['s']}.interval.", f"s{about['s']}.truth.")
    )
    slopes = _slopes(frame, about["names"])
    return Point(**about, intervals=intervals, playouts=playouts, slopes=slopes)


def _slopes(frame: pd.DataFrame, names: Sequence[str]) -> Float[np.ndarray, "starts q"]:
    found = frame[frame.kind == "slope"]
    if found.empty:
        return np.zeros((0, len(names)))
    table = found.pivot_table(index="unit", columns="hyperparameter", values="slope", sort=False)
    return table[list(names)].to_numpy()
