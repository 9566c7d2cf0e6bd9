"""The fidelity study's records as points to compare estimates at: trajectories and truths.

A point is one interval of one training run. Its estimates are computed from the stored trajectory
of h_t, so a new estimator needs no new playout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.methods.method import Measured, Moment, Wanted
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context
from glocal_exp.report.vectors import Vector
from glocal_exp.store.studies import study_config, unit_arrays

STUDY = "fidelity"
SETTING = {"learning_rate": "lr", "momentum": "momentum", "b1": "b1"}
"""What tells one setting from another, in the order of its label."""


@dataclass(frozen=True)
class Point:
    """The start of interval `s` of a training run, and what was played out from it.

    Attributes:
        setting: the start of training, as a label.
        outer_steps: intervals up to T.
        intervals: by variation or validation size, h at every step of the interval.
        playouts: by variation, h at the end of each interval up to T.
        slopes: of the final loss by finite differences, one row a start.
    """

    setting: str
    seed: int
    s: int
    outer_steps: int
    interval: int
    names: tuple[str, ...]
    intervals: dict[str, Float[np.ndarray, "tau q"]]
    playouts: dict[str, Float[np.ndarray, "intervals q"]]
    slopes: Float[np.ndarray, "starts q"]

    @property
    def moment(self) -> Moment:
        """As methods have it."""
        return Moment(self.s, self.outer_steps, self.interval, self.names)

    def holds(self, wanted: Wanted) -> bool:
        """Whether h_t are all of that."""
        return not replace(wanted, steps=(), sharpness=False)

    def measured(self, interval: str, wanted: Wanted) -> Measured:
        """What a method is given that wants this."""
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
    """Every point with a truth, in the order of settings, seeds and intervals; their provenance.

    Raises:
        MissingStudy: nothing of the study is stored.
    """
    frame = study_rows.load(context, STUDY)
    found = []
    for folder, of_run in frame.groupby("folder"):
        config = study_config(str(folder))
        for s, of_point in of_run.groupby("s"):
            if ((of_point.kind == "truth") & (of_point.variation == "base")).any():
                found.append(_point(str(folder), config, int(s), of_point))  # pyright: ignore
    found.sort(key=lambda point: (point.setting, point.seed, point.s))
    return found, study_rows.provenance(frame, STUDY)


def by_setting(found: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each setting, in whose order they are."""
    return {name: list(of) for name, of in groupby(found, lambda point: point.setting)}


def setting_of(config: Any) -> str:
    """The start of a training run, as a label."""
    init = config.task.init
    return ", ".join(f"{label} {init[name]:g}" for name, label in SETTING.items() if name in init)


def _point(folder: str, config: Any, s: int, frame: pd.DataFrame) -> Point:
    names = tuple(sorted(config.task.init))  # the hypergradient's order is that of the tree
    return Point(
        setting=setting_of(config),
        seed=int(frame.seed.iloc[0]),
        s=s,
        outer_steps=int(config.steps) // int(config.interval),
        interval=int(config.interval),
        names=names,
        intervals=_arrays(folder, frame, f"s{s}.interval."),
        playouts=_arrays(folder, frame, f"s{s}.truth."),
        slopes=_slopes(frame, names),
    )


def _slopes(frame: pd.DataFrame, names: Sequence[str]) -> Float[np.ndarray, "starts q"]:
    found = frame[frame.kind == "slope"]
    if found.empty:
        return np.zeros((0, len(names)))
    table = found.pivot_table(index="unit", columns="hyperparameter", values="slope", sort=False)
    return table[list(names)].to_numpy()


def _arrays(folder: str, frame: pd.DataFrame, prefix: str) -> dict[str, np.ndarray]:
    units = [unit for unit in frame.unit.unique() if unit.startswith(prefix)]
    return {unit.removeprefix(prefix): unit_arrays(folder, unit)["h"] for unit in units}
