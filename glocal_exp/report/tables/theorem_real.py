"""Both sides of Theorem 3.1 on real training, as far as they can be known: h_T was played out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.estimators import Estimator, load_estimator
from glocal_exp.report.fidelity_points import STUDY, Point, points
from glocal_exp.report.formats import brief
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.report.tables.theorem_terms import computable_terms

SIDES = {
    "left": "left side",
    "truths": "h_T itself",
    "first_term": "first term",
    "second_term": "second term",
    "truth": "|h_T|",
    "estimate": "|h_inf|",
}
COLUMNS = (
    Column("setting", "setting", words=True),
    Column("s", "s"),
    *(Column(heading, name, brief) for name, heading in SIDES.items()),
    Column("covered", ("covered", "seeds"), "{} of {}"),
)


@dataclass(frozen=True)
class TheoremReal(Artifact):
    """One row a setting and interval of the fidelity study.

    Attributes:
        estimator: of configs/estimator; one whose method is `Glocal`.
    """

    estimator: str = "glocal"

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        estimator = load_estimator(context.configs, self.estimator)
        sides = pd.DataFrame(
            {"setting": point.setting, "s": point.s} | both_sides(point, estimator)
            for point in found
        )
        groups = sides.groupby(["setting", "s"], as_index=False)
        how = {"seeds": ("left", "size"), "covered": ("covered", "sum")}
        data = groups.agg(**how | {name: (name, "median") for name in SIDES})
        settings = vars(estimator.method)
        text = self.caption(study_rows.provenance(frame, STUDY), apart=False, **settings)
        return Sheet(data, COLUMNS, text)


def both_sides(point: Point, estimator: Estimator) -> dict[str, float]:
    """Left side and computable terms at a point, over |h_tau|; NaN where no playout is finite."""
    method: Any = estimator.method
    h, made = point.intervals["all"], estimator.estimate(point, "all")
    arrays = {"hypergradient": made.hypergradient, "trajectory": h[-method.window :]}
    tolerance = method.steady_state.unit_tolerance
    terms = computable_terms({**made.arrays, **arrays}, point.interval, tolerance)
    scale, truths = float(np.linalg.norm(h[-1])), list(point.truths.values())
    base = point.truths.get("base", np.full(len(point.names), np.nan))
    apart = [np.linalg.norm(a - b) for n, a in enumerate(truths) for b in truths[:n]]
    left = float(np.linalg.norm(base - made.hypergradient)) / scale
    return terms | {
        "left": left,
        "covered": terms["first_term"] + terms["second_term"] >= left,
        "truth": float(np.linalg.norm(base)) / scale,
        "truths": float(np.mean(apart)) / scale if apart else float("nan"),
    }
