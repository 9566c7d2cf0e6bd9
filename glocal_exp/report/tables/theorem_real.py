"""Both sides of Theorem 3.1 on real training, as far as they can be known: h_T was played out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.fidelity import STUDY, Estimator, Point, points
from glocal_exp.report.formats import ABSENT
from glocal_exp.report.study import provenance
from glocal_exp.report.tables.theorem_gaps import brief
from glocal_exp.report.tables.theorem_terms import computable_terms

PAPER = Estimator("glocal")
"""The paper's window and delays, on all validation images."""
READING = (
    "Medians over the seeds, divided by the norm of the newest hypergradient |h_tau|. left side: "
    "|h_T - h_inf|, with h_T from training played out to T with the hyperparameters held, and "
    "h_inf the estimate by Eq. 14 from {window} steps and {delays} delays. h_T itself: the mean "
    "distance between the playouts' h_T (as trained, in float64, from slightly moved weights, in "
    "other orders of the batches). first term: |U| |U^+| |e|, without (T - s tau) eps_tau, which "
    "needs the true operator; second term: that of the modes dropped. covered: points at which "
    "the terms that can be computed exceed the left side already, so that the inequality holds "
    "whatever eps_tau is. |h_T|: of the true global hypergradient."
)
COLUMNS = {
    "left": "left side",
    "truths": "h_T itself",
    "first_term": "first term",
    "second_term": "second term",
    "truth": "|h_T|",
    "estimate": "|h_inf|",
}


@dataclass(frozen=True)
class TheoremReal:
    """One row a setting and interval of the fidelity study.

    Attributes:
        title: the caption's first sentence.
        unit_tolerance: within which a mode is steady.
    """

    title: str
    unit_tolerance: float = 0.02

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        rows, records = [], []
        for setting, s in dict.fromkeys((point.setting, point.s) for point in found):
            chosen = [point for point in found if (point.setting, point.s) == (setting, s)]
            sides = [both_sides(point, self.unit_tolerance) for point in chosen]
            covered = sum(one["first_term"] + one["second_term"] >= one["left"] for one in sides)
            record = {name: _median([one[name] for one in sides]) for name in COLUMNS}
            key = {"setting": setting, "s": s, "seeds": len(chosen), "covered": covered}
            records.append(key | record)
            numbers = [_brief(record[name]) for name in COLUMNS]
            rows.append([setting, str(s), *numbers, f"{covered} of {len(chosen)}"])
        header = ["setting", "s", *COLUMNS.values(), "covered"]
        reading = READING.format(window=PAPER.window, delays=PAPER.delays)
        text = f"{self.title} {reading}\n\n{STUDY}: {provenance(frame)}\n"
        return Sheet(header, rows, pd.DataFrame(records), text, words=1)


def both_sides(point: Point, unit_tolerance: float) -> dict[str, float]:
    """Left side and computable terms at a point, over |h_tau|; NaN where no playout is finite."""
    h = point.intervals["all"]
    seen, scale = h[-PAPER.window :], float(np.linalg.norm(h[-1]))
    spectrum = HankelDMD().fit(seen, PAPER.delays, PAPER.stride)
    estimate = SteadyStateEstimator(unit_tolerance=unit_tolerance).estimate(
        spectrum, seen, point.steps_left
    )[0]
    arrays = {
        "trajectory": seen,
        "eigenvalues": spectrum.eigenvalues,
        "modes": spectrum.modes,
        "amplitudes": spectrum.amplitudes,
        "hypergradient": estimate,
    }
    truths = [truth for truth in point.truths.values() if np.isfinite(truth).all()]
    base = point.truths.get("base", np.full(len(point.names), np.nan))
    apart = [np.linalg.norm(a - b) for n, a in enumerate(truths) for b in truths[:n]]
    terms = computable_terms(arrays, point.interval, unit_tolerance)
    return terms | {
        "left": float(np.linalg.norm(base - estimate)) / scale,
        "truth": float(np.linalg.norm(base)) / scale,
        "truths": float(np.mean(apart)) / scale if apart else float("nan"),
    }


def _median(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")


def _brief(value: float) -> str:
    return brief(value) if np.isfinite(value) else ABSENT
