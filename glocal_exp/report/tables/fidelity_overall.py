"""How often each estimate is right over all points: by which truth, and in which sign."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.estimators import Estimator, estimators
from glocal_exp.report.fidelity_points import STUDY, Point, by_setting, points, seeds
from glocal_exp.report.fidelity_scores import TRUTHS, ceiling, scores
from glocal_exp.report.formats import ABSENT
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.report.vectors import cosine

AGREED = 0.5
"""Choice: truths agree where the cosines, to each other and to the slopes, are above it."""
REPEATS = {"float64": "float64", "start1": "moved"}


@dataclass(frozen=True)
class FidelityOverall(Artifact):
    """One row an estimator.

    Attributes:
        repeated: validation images on which an interval was computed again.
        estimators: files of configs/estimator; all if None.
    """

    repeated: int
    estimators: Sequence[str] | None = None

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        chosen, notes = estimators(context.configs, found, self.estimators)
        compared = {one.label: one for one in chosen}
        agreed = [truths_agree(point) for point in found]
        records = []
        for label, rows in scores(found, compared.values()).groupby("estimator", sort=False):
            record = {"estimator": label} | summary(rows, np.array(agreed), found[0].names)
            if label in compared:
                record |= self._repeats(found, compared[str(label)])
            records.append(record)
        text = self.caption(
            *notes,
            study_rows.provenance(frame, STUDY),
            apart=False,
            agreed=AGREED,
            number=sum(agreed),
            points=len(found),
            truths=TRUTHS,
            settings="; ".join(f"{n} ({seeds(of)})" for n, of in by_setting(found).items()),
        )
        return Sheet(pd.DataFrame(records), columns(found[0].names), text)

    def _repeats(self, found: Sequence[Point], estimator: Estimator) -> dict[str, float]:
        """How often the estimate of an interval computed again points the same way."""
        if estimator.validation not in (None, self.repeated):
            return {}
        record, first = {}, str(self.repeated)
        for name, label in REPEATS.items():
            pairs = [
                (estimator(point, first), estimator(point, name))
                for point in found
                if first in point.intervals and name in point.intervals
            ]
            record |= _share(f"repeats_{label}", [cosine(*pair) for pair in pairs])
        return record


def columns(names: Sequence[str]) -> list[Column]:
    """For the hyperparameters of these names."""
    shares = {"right": "right", "right_by_slopes": "by slopes"}
    shares |= {"right_where_agreed": "truths agree"}
    repeats = {f"repeats_{name}": f"repeats, {name}" for name in REPEATS.values()}
    signs = {f"sign_{name}": f"sign of {name.replace('_', ' ')}" for name in names}
    return [
        Column("estimate", "estimator", words=True),
        *(Column(heading, (name, f"{name}_of"), _of) for name, heading in shares.items()),
        *(
            Column(heading, (name, f"{name}_where_agreed"), "{:.2f} [{:.2f}]")
            for name, heading in signs.items()
        ),
        *(Column(heading, (name, f"{name}_of"), _of) for name, heading in repeats.items()),
    ]


def truths_agree(point: Point) -> bool:
    """Whether the playouts agree with each other, and their mean with the slopes."""
    if len(point.truths) < 2 or not len(point.slopes):
        return False
    mean, slopes = np.mean(list(point.truths.values()), axis=0), point.slopes.mean(axis=0)
    return bool(ceiling(point)["cosine"] > AGREED and cosine(mean, slopes) > AGREED)


def summary(rows: Any, agreed: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """The numbers of one estimate, from its `scores`, a point each."""
    kept = rows[agreed[rows["point"]]]
    record = _share("right", rows["cosine"])
    record |= _share("right_by_slopes", rows["slope_cosine"])
    record |= _share("right_where_agreed", kept["cosine"])
    for name in (f"sign_{name}" for name in names):
        record |= {name: rows[name].mean(), f"{name}_where_agreed": kept[name].mean()}
    return record


def _share(name: str, cosines: Sequence[float] | pd.Series) -> dict[str, Any]:
    finite = np.asarray(cosines)[np.isfinite(cosines)]
    return {name: int(np.sum(finite > 0)), f"{name}_of": finite.size}


def _of(right: float, number: float) -> str:
    return f"{right:.0f} of {number:.0f}" if number else ABSENT
