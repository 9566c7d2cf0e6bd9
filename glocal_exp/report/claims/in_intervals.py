"""Claims that hold in single intervals: of spectra above all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, Criterion, Finding, chosen, size


@dataclass(frozen=True)
class InIntervals(Criterion):
    """Whether a condition holds in so large a share of the intervals of all runs of a method.

    Attributes:
        holds: the condition, of columns of the records, as `pandas.DataFrame.eval` reads it.
        rows: which intervals count, likewise; all if empty.
        share: of the intervals, at least.
    """

    experiments: Sequence[str]
    holds: str
    method: str = "glocal"
    rows: str = ""
    share: float = 0.5

    def judge(self, context: Context) -> Finding:
        selections = {name: chosen(context, name, (self.method,)) for name in self.experiments}
        frames = [run.metrics for one in selections.values() for run in one.runs]
        data: Any = pd.concat(frames, ignore_index=True).query("outer_step > 0", engine="python")
        data = data.query(self.rows, engine="python") if self.rows else data
        true = np.asarray(data.eval(self.holds, engine="python"), bool)
        verdict = AGREES if true.mean() >= self.share else DISAGREES
        words = f"{100 * true.mean():.0f} % of {len(true)} intervals"
        return Finding(verdict, words, size(selections))
