"""The records of the study of truths as points, and how estimates compare with their truths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.methods.method import Measured, Moment, Wanted
from glocal_exp.report import estimators
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.vectors import same_signs
from glocal_exp.stats import mean_interval
from glocal_exp.store.studies import unit_arrays

STUDY = "truths"
Truth = tuple[str, str]  # which derivative, and by which hyperparameter


@dataclass(frozen=True, kw_only=True)
class TruthPoint(estimators.Point):
    """What a change at the start of an interval does to the end of training, too.

    Of the interval itself all fields of `Measured`.
    """

    values: Mapping[str, float]  # hyperparameters in natural units
    # of each a value for each order of the batches
    truths: Mapping[Truth, Float[np.ndarray, " orders"]]

    @property
    def moment(self) -> Moment:
        """As methods have it: one that counts training steps has counted those before."""
        memory = {"clock": np.array(float((self.s - 1) * self.interval))}
        return replace(super().moment, memory=memory, values=self.values)

    def holds(self, wanted: Wanted) -> bool:
        more = wanted.training or wanted.copies or wanted.discount != 1
        return not more and wanted.mean in (0, self.interval)

    def measured(self, interval: str, wanted: Wanted) -> Measured:
        steps, found = list(wanted.steps), dict[str, Any](self.intervals[interval])
        found |= {name: found[name][steps] for name in ("h", "values")}
        at_mean = {name: found.pop(name) for name in ("mean", "mean_direct")}
        return Measured(**found, **(at_mean if wanted.mean else {}))


def points(context: Context) -> tuple[list[TruthPoint], str]:
    """Every point with an interval, and their source, as `report.estimators.points` has them."""
    return estimators.points(context, STUDY, _point)


def _point(folder: str, frame: pd.DataFrame, about: dict[str, Any]) -> TruthPoint | None:
    intervals, prefix = frame.query("kind == 'interval'"), f"s{about['s']}.interval."
    if f"{prefix}all" not in intervals["unit"].values:
        return None
    known = frame.query("kind != 'interval'").sort_values("order")
    return TruthPoint(
        **about,
        values={name: float(intervals[name].iloc[0]) for name in about["names"]},
        intervals={u.removeprefix(prefix): unit_arrays(folder, u) for u in intervals["unit"]},
        truths={
            (str(kind), str(name)): rows["value"].to_numpy(float)
            for (kind, name), rows in known.groupby(["kind", "hyperparameter"], sort=False)  # pyright: ignore
        },
    )


def scores(found: Sequence[TruthPoint], compared: Iterable[estimators.Estimator]) -> pd.DataFrame:
    """A row each estimate, truth and hyperparameter, where the truth has a sign.

    A truth has one if the interval of its mean over the orders excludes 0, and an estimate is right
    if it has the same. `ratio` is its size by the truth's, if what it says has one.

    Raises:
        MissingStudy: no truth has a sign.
    """
    rows = []
    for place, point in enumerate(found):
        means = {key: mean_interval(v) for key, v in point.truths.items()}
        told = {key: mean for key, mean in means.items() if mean.low * mean.high > 0}
        for one in compared:
            estimate = dict(zip(point.names, one(point), strict=True))
            has_size = one.gradients(point) > 0
            for (kind, name), mean in told.items():
                about = {"estimator": one.label, "truth": kind, "hyperparameter": name}
                about |= {"point": place, "setting": point.setting, "seed": point.seed}
                right = same_signs(np.array(estimate[name]), np.array(mean.value))
                ratio = abs(estimate[name] / mean.value) if has_size else np.nan
                rows.append({**about, "s": point.s, "right": float(right), "ratio": ratio})
    if not rows:
        raise MissingStudy(STUDY)
    return pd.DataFrame(rows)
