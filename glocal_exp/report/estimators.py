"""Estimators of the global hypergradient: methods on stored h_t, one a file of configs/estimator.

They are made at points, intervals of a study's trainings, from what is stored of these: a new one
needs no new playout, but a file in glocal_exp/methods and its own YAML here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.objects import entries, instantiate
from glocal_exp.report.vectors import Vector
from glocal_exp.store.studies import study_config

SETTING = {"learning_rate": "lr", "momentum": "momentum", "b1": "b1"}
"""What tells one setting from another, in the order of its label."""


@dataclass(frozen=True, kw_only=True)
class Point(ABC):
    """The start of interval `s` of a training run, with what was measured in it."""

    setting: str  # the start of training, as a label
    seed: int
    s: int
    outer_steps: int  # intervals up to T
    interval: int
    names: tuple[str, ...]
    # what was measured, by validation images, `all` or their number, or by variation
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
        MissingStudy: no point of the study is stored.
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
    if not found:
        raise MissingStudy(study)
    found.sort(key=lambda point: (point.setting, point.seed, point.s))
    return found, study_rows.provenance(frame, study)


def settings_of(found: Sequence[Point]) -> str:
    """Those of some points, in words."""
    return ", ".join(dict.fromkeys(point.setting for point in found))


def _label(init: Mapping[str, float]) -> str:
    return ", ".join(f"{label} {init[name]:g}" for name, label in SETTING.items() if name in init)


@dataclass(frozen=True)
class Estimator:
    """A way from an interval's trajectory to a hypergradient."""

    label: str  # as printed
    method: Method  # what makes it
    validation: int | None = None  # images that h_t is taken on; all of them if None
    order: float = math.inf  # its place among the others; without one it is the last

    def __call__(self, point: Point, interval: str | None = None) -> Vector:
        """The estimate at a point, of its interval of this name; NaN where there is none."""
        name = interval or str(self.validation or "all")
        found = self.estimate(point, name).hypergradient if name in point.intervals else None
        return np.full(len(point.names), np.nan) if found is None else found

    def estimate(self, point: Point, interval: str) -> Estimate:
        """With what the method says about it."""
        wanted = self.method.wanted(point.interval)
        return self.method.estimate(point.measured(interval, wanted), point.moment)

    def gradients(self, point: Point) -> int:
        """Validation gradients an interval."""
        wanted = self.method.wanted(point.interval)
        return len(wanted.steps) + bool(wanted.mean)

    def fits(self, point: Point) -> bool:
        """Whether what is stored of an interval is all that it needs."""
        ahead = self.method.intervals_ahead(1, point.outer_steps)
        return point.holds(self.method.wanted(point.interval)) and not ahead


def load_estimator(configs: Path, name: str) -> Estimator:
    """That of configs/estimator/<name>.yaml; `UserError` if it cannot be made."""
    config = configs / "estimator" / f"{name}.yaml"
    found = entries(config)
    # Other groups stand beside the method because its settings refer to them.
    own = {key: value for key, value in found.items() if not (configs / key).is_dir()}
    if "method" not in found:
        raise UserError(f"{config} names no method; give it one, as the files beside it do")
    target = {"_target_": f"{__name__}.{Estimator.__name__}", "method": found["method"]}
    return instantiate(own | target, config)


def estimators(
    configs: Path,
    found: Sequence[Point],
    ids: Collection[str] | None = None,
    without: Collection[str] = (),
) -> tuple[list[Estimator], list[str]]:
    """Those to compare at these points in their order, and a sentence about those that cannot be.

    Args:
        ids: names of files; all for None.

    Raises:
        UserError: one cannot be made.
    """
    names = sorted(path.stem for path in (configs / "estimator").glob("*.yaml"))
    chosen = [name for name in (names if ids is None else ids) if name not in without]
    made = sorted((load_estimator(configs, name) for name in chosen), key=lambda one: one.order)
    lacking = [one.label for one in made if not all(map(one.fits, found))]
    if len(lacking) == len(made):
        raise UserError("no estimator can be made from what is stored; name others")
    sentence = f"Left out, since they need more than is stored: {'; '.join(lacking)}."
    return [one for one in made if one.label not in lacking], [sentence] if lacking else []
