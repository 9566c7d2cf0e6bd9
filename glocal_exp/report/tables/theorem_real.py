"""Both sides of Theorem 3.1 on real training, as far as they can be known: h_T was played out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.estimators import Estimator
from glocal_exp.report.fidelity_points import STUDY, Point, points
from glocal_exp.report.formats import brief
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.report.tables.theorem_terms import computable_terms

PAPER = Estimator("glocal")
"""The paper's window and delays, on all validation images."""
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
        unit_tolerance: within which a mode is steady.
    """

    unit_tolerance: float = 0.02

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        sides = pd.DataFrame([
            {"setting": point.setting, "s": point.s} | both_sides(point, self.unit_tolerance)
            for point in found
        ])  # fmt: skip
        groups = sides.groupby(["setting", "s"], as_index=False)
        how = {"seeds": ("left", "size"), "covered": ("covered", "sum")}
        data = groups.agg(**how | {name: (name, "median") for name in SIDES})
        settings = {"window": PAPER.window, "delays": PAPER.delays}
        text = self.caption(study_rows.provenance(frame, STUDY), apart=False, **settings)
        return Sheet(data, COLUMNS, text)


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
    truths = list(point.truths.values())
    base = point.truths.get("base", np.full(len(point.names), np.nan))
    apart = [np.linalg.norm(a - b) for n, a in enumerate(truths) for b in truths[:n]]
    terms = computable_terms(arrays, point.interval, unit_tolerance)
    left = float(np.linalg.norm(base - estimate)) / scale
    return terms | {
        "left": left,
        "covered": terms["first_term"] + terms["second_term"] >= left,
        "truth": float(np.linalg.norm(base)) / scale,
        "truths": float(np.mean(apart)) / scale if apart else float("nan"),
    }
