"""Intervals of a study's trainings as points to compare estimates at.

Estimates are computed from what is stored of an interval, so a new estimator needs no new playout.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from glocal_exp.methods.method import Measured, Moment, Wanted
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context
from glocal_exp.store.studies import study_config

SETTING = {"learning_rate": "lr", "momentum": "momentum", "b1": "b1"}
"""What tells one setting from another, in the order of its label."""


@dataclass(frozen=True, kw_only=True)
class Point(ABC):
    """The start of interval `s` of a training run, with what was measured in it.

    Attributes:
        setting: the start of training, as a label.
        outer_steps: intervals up to T.
        intervals: what was measured, by validation images, `all` or their number, or by variation.
    """

    setting: str
    seed: int
    s: int
    outer_steps: int
    interval: int
    names: tuple[str, ...]
    intervals: Mapping[str, Any]

    @property
    def moment(self) -> Moment:
        """As methods have it."""
        return Moment(self.s, self.outer_steps, self.interval, self.names)

    @abstractmethod
    def holds(self, wanted: Wanted) -> bool:
        """Whether all of that was measured."""

    @abstractmethod
    def measured(self, interval: str, wanted: Wanted) -> Measured:
        """What a method is given that wants this."""


Made = TypeVar("Made", bound=Point)


def points(
    context: Context, study: str, make: Callable[[str, pd.DataFrame, dict[str, Any]], Made | None]
) -> tuple[list[Made], str]:
    """Every point in the order of settings, seeds and intervals, and their provenance.

    Args:
        make: a point of a study's folder, the rows of an interval and the point's other fields, if
            these rows make one.

    Raises:
        MissingStudy: nothing of the study is stored.
    """
    frame = study_rows.load(context, study)
    found = []
    for folder, of_run in frame.groupby("folder"):
        config = study_config(str(folder))
        tau = int(config.interval)
        for s, rows in of_run.groupby("s"):
            about = {"s": int(s), "seed": int(rows["seed"].iloc[0]), "interval": tau}  # pyright: ignore
            about |= {"setting": _label(config.task.init), "outer_steps": int(config.steps) // tau}
            # The hypergradient's order is that of the tree.
            about |= {"names": tuple(sorted(config.task.init))}
            if point := make(str(folder), rows, about):
                found.append(point)
    found.sort(key=lambda point: (point.setting, point.seed, point.s))
    return found, study_rows.provenance(frame, study)


def _label(init: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {init[name]:g}" for name, label in SETTING.items() if name in init)
