"""Claims that a table of this repository decides, row by row."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal_exp.report.artifact import Context
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, Criterion, Finding
from glocal_exp.report.objects import load


@dataclass(frozen=True)
class InTable(Criterion):
    """Whether a condition holds in so large a share of a table's rows.

    Attributes:
        table: its id.
        holds: the condition, of columns of its CSV file, as `pandas.DataFrame.eval` reads it.
        rows: which rows count, likewise; all if empty.
        share: of the rows, at least.
        of: what a row is, in words.
    """

    table: str
    holds: str
    rows: str = ""
    share: float = 1.0
    of: str = "rows"

    def judge(self, context: Context) -> Finding:
        data = load(context.configs / "table" / f"{self.table}.yaml").make(context).data
        chosen: Any = data.query(self.rows, engine="python") if self.rows else data
        true = np.asarray(chosen.eval(self.holds, engine="python"), bool)
        verdict = AGREES if true.mean() >= self.share else DISAGREES
        words = f"{int(true.sum())} of {len(true)} {self.of}"
        return Finding(verdict, words, f"table {self.table}")
