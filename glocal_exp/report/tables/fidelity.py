"""How close each estimate comes to the true global hypergradient, by setting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.fidelity import (
    STUDY,
    TRUTHS,
    Estimator,
    Point,
    ceiling,
    estimators,
    points,
)
from glocal_exp.report.fidelity import score as score_of
from glocal_exp.report.formats import ABSENT, count
from glocal_exp.report.study import provenance

READING = (
    "Each estimate is made from the hypergradients of one interval, and compared with the true "
    "global hypergradient h_T: training played out to T with the hyperparameters held. Medians "
    "over the points (seeds and intervals) of a setting. cos: cosine of the angle, averaged over "
    "the truths of a point: as trained, in float64, from weights moved by rounding's size, and "
    "with the batches in other orders. '{truths}' compares these with each other: nothing can be "
    "expected to do better. above 0: share of the points whose cosine is. error: |estimate - mean "
    "truth| / |mean truth|. signs: share of hyperparameters with the sign of the truth, weight "
    "decay left out where its hypergradient is below a hundredth of the others' (the csv file has "
    "the same against finite differences of the final loss, as slope_signs). gradients: validation "
    "gradients an interval. Settings: {settings}."
)
SHOWN = {"cosine": "cos", "agreeing": "above 0", "error": "error", "signs": "signs"}
"""Numbers of a setting that are printed, with their headings."""
NEGLIGIBLE = 0.01
"""Below this share of the largest component of the truth, a sign says nothing of the direction."""


@dataclass(frozen=True)
class FidelityTable:
    """One row an estimator, three columns a setting.

    Attributes:
        title: the caption's first sentence.
        estimators: entries of `report.fidelity.Estimator`; `report.fidelity.ESTIMATORS` if None.
    """

    title: str
    estimators: Sequence[Mapping[str, Any]] | None = None

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        settings = sorted({point.setting for point in found})
        rows, records = [], []
        for estimator in [None, *estimators(self.estimators)]:
            row = [
                TRUTHS if estimator is None else estimator.label,
                ABSENT if estimator is None else count(estimator.gradients, 0),
            ]
            for setting in settings:
                of_setting = [point for point in found if point.setting == setting]
                record = _medians(of_setting, estimator)
                records.append({"estimator": row[0], "setting": setting} | record)
                row += [count(record[name], 2) for name in SHOWN]
            rows.append(row)
        header = ["estimate", "gradients"]
        header += [
            f"{name} [{n}]" for n, _ in enumerate(settings, start=1) for name in SHOWN.values()
        ]
        listed = "; ".join(
            f"[{n}] {setting} ({_counted(found, setting)})"
            for n, setting in enumerate(settings, start=1)
        )
        reading = READING.format(truths=TRUTHS, settings=listed)
        text = f"{self.title} {reading}\n\n{STUDY}: {provenance(frame)}\n"
        return Sheet(header, rows, pd.DataFrame(records), text, words=1)


def _medians(found: Sequence[Point], estimator: Estimator | None) -> dict[str, float]:
    scores = [
        ceiling(point) if estimator is None else score_of(point, point.estimate(estimator))
        for point in found
    ]
    pairs = list(zip(found, scores, strict=True))
    return {
        "points": len(found),
        "cosine": _median([score.cosine for score in scores]),
        "agreeing": _mean([float(s.cosine > 0) for s in scores if np.isfinite(s.cosine)]),
        "error": _median([score.error for score in scores]),
        "signs": _mean([_over_relevant(p, score.signs) for p, score in pairs]),
        "slope_signs": _mean([_over_relevant(p, score.slope_signs) for p, score in pairs]),
    }


def _over_relevant(point: Point, shares: np.ndarray) -> float:
    truth = np.abs(np.mean(list(point.truths.values()), axis=0))
    return float(np.mean(shares[truth >= NEGLIGIBLE * truth.max()]))


def _median(values: Sequence[float]) -> float:
    kept = [value for value in values if np.isfinite(value)]
    return float(np.median(kept)) if kept else float("nan")


def _mean(values: Sequence[float]) -> float:
    kept = [value for value in values if np.isfinite(value)]
    return float(np.mean(kept)) if kept else float("nan")


def _counted(found: Sequence[Point], setting: str) -> str:
    of_setting = [point for point in found if point.setting == setting]
    seeds = sorted({point.seed for point in of_setting})
    return f"seeds {', '.join(map(str, seeds))}; {len(of_setting)} points"
