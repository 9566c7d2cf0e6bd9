"""Claims that a study of known systems decides: by its draws, or by how its medians change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import binomtest

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.claims.criterion import (
    AGREES,
    DISAGREES,
    LEVEL,
    UNDECIDED,
    Criterion,
    Finding,
)


@dataclass(frozen=True)
class InDraws(Criterion):
    """Whether an inequality holds in so large a share of all draws of a study.

    Attributes:
        study: its id.
        holds: the column with the share of a row's draws; the column `draws` has their number.
        where: values that rows have which count.
        rows: a further condition on them, as `pandas.DataFrame.query` reads it; none if empty.
        share: of the draws, at least.
    """

    study: str
    holds: str
    where: Mapping[str, Any] = field(default_factory=dict)
    rows: str = ""
    share: float = 1.0

    def judge(self, context: Context) -> Finding:
        found = _rows(context, self.study, self.where, self.rows)
        draws = found["draws"].to_numpy(float)
        share = float(np.average(found[self.holds].to_numpy(float), weights=draws))
        words = f"{100 * share:.1f} % of {draws.sum():,.0f} draws"
        verdict = AGREES if share >= self.share else DISAGREES
        return Finding(verdict, words, f"study {self.study}, {len(found)} settings")


@dataclass(frozen=True)
class Falls(Criterion):
    """Whether a median is smaller at the far end of each series: a sign test over the series.

    Attributes:
        study: its id.
        column: the median.
        along: what a series runs along.
        series: columns that tell series apart.
        where, rows: as in `InDraws`.
    """

    study: str
    column: str
    along: str
    series: Sequence[str]
    where: Mapping[str, Any] = field(default_factory=dict)
    rows: str = ""

    def judge(self, context: Context) -> Finding:
        found = _rows(context, self.study, self.where, self.rows)
        ends = found.sort_values(self.along).groupby(list(self.series))[self.column]
        falls = (ends.last() < ends.first()).to_numpy()
        fallen, number = int(falls.sum()), len(falls)
        sure = binomtest(fallen, number).pvalue < LEVEL
        verdict = UNDECIDED if not sure else AGREES if 2 * fallen > number else DISAGREES
        return Finding(verdict, f"in {fallen} of {number} series", f"study {self.study}")


def _rows(context: Context, study: str, where: Mapping[str, Any], rows: str) -> Any:
    """Those that count; `MissingStudy` if there are none."""
    found: Any = study_rows.chosen(study_rows.load(context, study), where)
    found = found.query(rows, engine="python") if rows else found
    if found.empty:
        raise MissingStudy(study)
    return found
