"""How often each estimate is right over all points: by which truth, and in which sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.fidelity import (
    STUDY,
    TRUTHS,
    VARIANTS,
    Estimator,
    Point,
    ceiling,
    cosine,
    estimators,
    points,
    score,
)
from glocal_exp.report.formats import ABSENT, count
from glocal_exp.report.study import provenance

AGREED = 0.5
"""Choice: truths agree where the cosines, to each other and to the slopes, are above it."""
REPEATS = {"float64": "float64", "start1": "moved"}
READING = (
    "Over all settings, seeds and intervals of the table fidelity. right: points at which the "
    "cosine to the true global hypergradient is above 0, of those where there is an estimate; by "
    "slopes: the same with the mean of the finite differences of the final loss as the truth; "
    "truths agree: the same, where the truths' cosines to each other and of their mean to the "
    "slopes exceed {agreed:g} ({number} of {points} points). Then the share of truths with the "
    "sign of the estimate, by hyperparameter, at all points and (in brackets) at those where "
    "truths agree. Last, how often the estimate, made on {images:,} validation images, keeps its "
    "direction (cosine above 0) when the interval is computed in float64, or begun from weights "
    "moved by rounding's size. '{truths}' compares the truths with each other. Settings: "
    "{settings}."
)


@dataclass(frozen=True)
class FidelityOverall:
    """One row an estimator.

    Attributes:
        title: the caption's first sentence.
        repeated: validation images on which an interval was computed again.
        estimators: entries of `report.fidelity.Estimator`; `report.fidelity.VARIANTS` if None.
    """

    title: str
    repeated: int
    estimators: Sequence[Mapping[str, Any]] | None = None

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        agreed = [truths_agree(point) for point in found]
        rows, records = [], []
        for estimator in [None, *estimators(self.estimators, VARIANTS)]:
            scores = [_scores(point, estimator) for point in found]
            record = _summary(scores, agreed, found[0].names)
            if estimator is not None:
                record |= self._repeats(found, estimator)
            label = TRUTHS if estimator is None else estimator.label
            records.append({"estimator": label} | record)
            rows.append([label, *_cells(record, found[0].names)])
        settings = dict.fromkeys(point.setting for point in found)
        reading = READING.format(
            agreed=AGREED,
            number=sum(agreed),
            points=len(found),
            images=self.repeated,
            truths=TRUTHS,
            settings="; ".join(f"{one} ({_counted(found, one)})" for one in settings),
        )
        header = ["estimate", "right", "by slopes", "truths agree"]
        header += [f"sign of {name.replace('_', ' ')}" for name in found[0].names]
        header += [f"repeats, {name}" for name in REPEATS.values()]
        text = f"{self.title} {reading}\n\n{STUDY}: {provenance(frame)}\n"
        return Sheet(header, rows, pd.DataFrame(records), text, words=1)

    def _repeats(self, found: Sequence[Point], estimator: Estimator) -> dict[str, float]:
        """How often the estimate of an interval computed again points the same way."""
        if estimator.validation not in (None, self.repeated):
            return {}
        record, first = {}, str(self.repeated)
        for name, label in REPEATS.items():
            cosines = [
                cosine(*(estimator(p.intervals[key], p.steps_left) for key in (first, name)))
                for p in found
                if first in p.intervals and name in p.intervals
            ]
            record |= _share(f"repeats_{label}", cosines)
        return record


def truths_agree(point: Point) -> bool:
    """Whether the playouts agree with each other, and their mean with the slopes."""
    if len(point.truths) < 2 or not len(point.slopes):
        return False
    mean, slopes = np.mean(list(point.truths.values()), axis=0), point.slopes.mean(axis=0)
    return bool(ceiling(point).cosine > AGREED and cosine(mean, slopes) > AGREED)


def _scores(point: Point, estimator: Estimator | None) -> dict[str, Any]:
    if estimator is None:
        best = ceiling(point)
        truths = list(point.truths.values())
        by_slopes = [cosine(truth, point.slopes.mean(axis=0)) for truth in truths]
        return {"right": best.cosine, "slopes": float(np.mean(by_slopes)), "signs": best.signs}
    estimate = point.estimate(estimator)
    found = score(point, estimate)
    by_slopes = cosine(estimate, point.slopes.mean(axis=0)) if len(point.slopes) else float("nan")
    return {"right": found.cosine, "slopes": by_slopes, "signs": found.signs}


def _summary(
    scores: Sequence[Mapping[str, Any]], agreed: Sequence[bool], names: Sequence[str]
) -> dict[str, float]:
    kept = [one for one, agrees in zip(scores, agreed, strict=True) if agrees]
    record = _share("right", [one["right"] for one in scores])
    record |= _share("right_by_slopes", [one["slopes"] for one in scores])
    record |= _share("right_where_agreed", [one["right"] for one in kept])
    for place, name in enumerate(names):
        record[f"sign_{name}"] = _mean([one["signs"][place] for one in scores])
        record[f"sign_{name}_where_agreed"] = _mean([one["signs"][place] for one in kept])
    return record


def _share(name: str, cosines: Sequence[float]) -> dict[str, float]:
    finite = [value for value in cosines if np.isfinite(value)]
    return {name: sum(value > 0 for value in finite), f"{name}_of": len(finite)}


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def _cells(record: Mapping[str, float], names: Sequence[str]) -> list[str]:
    def of(name: str) -> str:
        number = record.get(f"{name}_of", 0)
        return f"{record[name]:.0f} of {number:.0f}" if number else ABSENT

    signs = [
        f"{count(record[f'sign_{name}'], 2)} [{count(record[f'sign_{name}_where_agreed'], 2)}]"
        for name in names
    ]
    shares = [of(name) for name in ("right", "right_by_slopes", "right_where_agreed")]
    return [*shares, *signs, *(of(f"repeats_{label}") for label in REPEATS.values())]


def _counted(found: Sequence[Point], setting: str) -> str:
    of_setting = [point for point in found if point.setting == setting]
    return f"seeds {', '.join(map(str, sorted({p.seed for p in of_setting})))}"
