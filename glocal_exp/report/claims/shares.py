"""Claims that hold in a share of what is stored: intervals, rows of tables, draws, rounds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.criterion import Criterion, Finding, OfRuns, decided, verdict
from glocal_exp.report.objects import load
from glocal_exp.report.selection import Selection


@dataclass(frozen=True)
class InIntervals(OfRuns):
    """Whether a condition holds in so large a share of the intervals of all runs of a method."""

    holds: str  # the condition, of columns of the records, as `pandas.DataFrame.eval` reads it
    share: float  # of the intervals, at least
    method: str = "glocal"
    rows: str = ""  # which intervals count, likewise; all if empty

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        frames = [run.metrics for one in selections.values() for run in one.runs]
        data = _rows(pd.concat(frames, ignore_index=True), "outer_step > 0")
        true = _where(_rows(data, self.rows), self.holds, MissingRuns(*self.experiments))
        found, asked = 100 * true.mean(), 100 * self.share
        words = f"in {found:.0f} % of {len(true):,} intervals ({asked:.0f} % asked for)"
        return verdict(true.mean() >= self.share), words


@dataclass(frozen=True)
class InTable(Criterion):
    """Whether a condition holds in so large a share of the rows of a table of this repository."""

    table: str
    holds: str  # the condition, of columns of its CSV file, as `pandas.DataFrame.eval` reads it
    rows: str = ""  # which rows count, likewise; all if empty
    share: float = 1.0  # of the rows, at least
    of: str = "rows"  # what a row is, in words

    def judge(self, context: Context) -> Finding:
        data = load(context.configs / "table" / f"{self.table}.yaml").make(context).data
        true = _where(_rows(data, self.rows), self.holds, MissingRuns())
        words = f"{int(true.sum())} of {len(true)} {self.of}"
        return Finding(verdict(true.mean() >= self.share), words, f"table {self.table}")


@dataclass(frozen=True)
class OfStudy(Criterion):
    """What a study of known systems decides."""

    study: str
    # values that rows have which count
    where: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    # a further condition on them, as `pandas.DataFrame.query` reads it; none if empty
    rows: str = field(default="", kw_only=True)

    def found(self, context: Context) -> Any:
        """The rows that count; `MissingStudy` if there are none."""
        frame = _rows(study_rows.load(context, self.study), self.rows)
        return study_rows.needed(frame, self.study, self.where)


@dataclass(frozen=True)
class InDraws(OfStudy):
    """Whether an inequality holds in so large a share of all draws of a study."""

    holds: str  # the column with the share of a row's draws; the column `draws` has their number
    share: float = 1.0  # of the draws, at least

    def judge(self, context: Context) -> Finding:
        found = self.found(context)
        draws = found["draws"].to_numpy(float)
        share = float(np.average(found[self.holds].to_numpy(float), weights=draws))
        words = f"{100 * share:.1f} % of {draws.sum():,.0f} draws"
        size = f"study {self.study}, {len(found)} settings"
        return Finding(verdict(share >= self.share), words, size)


@dataclass(frozen=True)
class Falls(OfStudy):
    """Whether a median is smaller at the far end of each series: a sign test over the series."""

    column: str  # the median
    along: str  # what a series runs along
    series: Sequence[str]  # columns that tell series apart

    def judge(self, context: Context) -> Finding:
        rows = self.found(context).sort_values(self.along)
        ends = rows.groupby(list(self.series))[self.column]
        falls = (ends.last() < ends.first()).to_numpy()
        fallen, number = int(falls.sum()), len(falls)
        chance = float(binomtest(fallen, number).pvalue)
        found = decided([chance], np.array([2 * fallen - number]))
        return Finding(found, f"in {fallen} of {number} series", f"study {self.study}")


@dataclass(frozen=True)
class CostsLess(Criterion):
    """Whether one time is at most a share of another in every round of a stored benchmark."""

    benchmark: str  # its file in results/benchmarks, without ending
    target: str  # the ratio's name there
    share: float  # choice; what counts as little

    def judge(self, context: Context) -> Finding:
        file = context.studies.parent / "benchmarks" / f"{self.benchmark}.json"
        found: Any = json.loads(file.read_text("utf-8")) if file.exists() else {"targets": []}
        ratios = [one["ratios"] for one in found["targets"] if one["name"] == self.target]
        if not ratios:
            raise MissingRuns()
        low, *_, high = percent = sorted(100 * ratio for ratio in ratios[0])
        words = f"{percent[len(percent) // 2]:.2g} % ({low:.2g} to {high:.2g})"
        size = f"{len(percent)} rounds on {found['machine']['processor']}"
        return Finding(verdict(high <= 100 * self.share), words, size)


def _rows(data: pd.DataFrame, condition: str) -> pd.DataFrame:
    return data.query(condition, engine="python") if condition else data


def _where(data: pd.DataFrame, condition: str, missing: MissingRuns) -> np.ndarray:
    """Of each row whether it holds; where no row counts, nothing is said."""
    if data.empty:
        raise missing
    return np.asarray(data.eval(condition, engine="python"), bool)
