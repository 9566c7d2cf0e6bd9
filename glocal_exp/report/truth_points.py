"""The records of the study of truths as points to compare estimates at, and what comes of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.methods.method import Measured, Moment, Wanted
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context
from glocal_exp.report.estimators import Estimator
from glocal_exp.report.fidelity_points import setting_of
from glocal_exp.report.vectors import same_signs
from glocal_exp.stats import mean_interval
from glocal_exp.store.studies import study_config, unit_arrays

STUDY = "truths"
Truth = tuple[str, str]
"""Which derivative, and by which hyperparameter."""


@dataclass(frozen=True)
class TruthPoint:
    """The start of interval `s` of a training run, and what a change there does to its end.

    Attributes:
        setting: the start of training, as a label.
        outer_steps: intervals up to T.
        values: hyperparameters in natural units.
        intervals: by validation images, `all` or their number, the fields of `Measured`.
        truths: of each a value for each order of the batches.
    """

    setting: str
    seed: int
    s: int
    outer_steps: int
    interval: int
    names: tuple[str, ...]
    values: Mapping[str, float]
    intervals: Mapping[str, Mapping[str, Any]]
    truths: Mapping[Truth, Float[np.ndarray, " orders"]]

    @property
    def moment(self) -> Moment:
        """As methods have it: one that counts training steps has counted those before."""
        memory = {"clock": np.array(float((self.s - 1) * self.interval))}
        where = self.s, self.outer_steps, self.interval, self.names
        return Moment(*where, memory=memory, values=self.values)

    def holds(self, wanted: Wanted) -> bool:
        """Whether all of that was measured."""
        more = wanted.training or wanted.copies or wanted.discount != 1
        return not more and wanted.mean in (0, self.interval)

    def measured(self, interval: str, wanted: Wanted) -> Measured:
        """What a method is given that wants this."""
        steps, found = list(wanted.steps), dict[str, Any](self.intervals[interval])
        found |= {name: found[name][steps] for name in ("h", "values")}
        at_mean = {name: found.pop(name) for name in ("mean", "mean_direct")}
        return Measured(**found, **(at_mean if wanted.mean else {}))


def points(context: Context) -> tuple[list[TruthPoint], str]:
    """Every point with an interval, in the order of settings, seeds and intervals; their source.

    Raises:
        MissingStudy: nothing of the study is stored.
    """
    frame = study_rows.load(context, STUDY)
    found = []
    for folder, of_run in frame.groupby("folder"):
        config, name = study_config(str(folder)), str(folder)
        for s in sorted(set(of_run.loc[of_run["kind"] == "interval", "s"])):
            found.append(_point(name, config, int(s), of_run.query("s == @s")))
    found.sort(key=lambda point: (point.setting, point.seed, point.s))
    return found, study_rows.provenance(frame, STUDY)


def _point(folder: str, config: Any, s: int, frame: pd.DataFrame) -> TruthPoint:
    names = tuple(sorted(config.task.init))
    intervals = frame.query("kind == 'interval'")
    prefix = f"s{s}.interval."
    known = frame.query("kind != 'interval'").sort_values("order")
    return TruthPoint(
        setting=setting_of(config),
        seed=int(frame["seed"].iloc[0]),
        s=s,
        outer_steps=int(config.steps) // int(config.interval),
        interval=int(config.interval),
        names=names,
        values={name: float(intervals[name].iloc[0]) for name in names},
        intervals={u.removeprefix(prefix): unit_arrays(folder, u) for u in intervals["unit"]},
        truths={
            (str(kind), str(name)): rows["value"].to_numpy(float)
            for (kind, name), rows in known.groupby(["kind", "hyperparameter"], sort=False)  # pyright: ignore
        },
    )


def scores(
    found: Sequence[TruthPoint], estimators: Iterable[Estimator], confidence: float = 0.95
) -> pd.DataFrame:
    """A row each estimate, truth and hyperparameter, where the truth has a sign.

    A truth has one if the interval of its mean over the orders excludes 0, and an estimate is right
    if it has the same. `ratio` is its size by the truth's, if what it says has one.
    """
    rows = []
    for place, point in enumerate(found):
        means = {key: mean_interval(v, confidence) for key, v in point.truths.items()}
        told = {key: mean for key, mean in means.items() if mean.low * mean.high > 0}
        for one in estimators:
            estimate = dict(zip(point.names, one(point), strict=True))
            has_size = one.gradients(point) > 0
            for (kind, name), mean in told.items():
                about = {"estimator": one.label, "truth": kind, "hyperparameter": name}
                about |= {"point": place, "setting": point.setting, "seed": point.seed}
                right = same_signs(np.array(estimate[name]), np.array(mean.value))
                ratio = abs(estimate[name] / mean.value) if has_size else np.nan
                rows.append({**about, "s": point.s, "right": float(right), "ratio": ratio})
    return pd.DataFrame(rows)
