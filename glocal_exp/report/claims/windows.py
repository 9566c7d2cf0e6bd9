"""The claim about glocal's window, and the grid of windows and delays that decides it."""

from dataclasses import dataclass

import pandas as pd

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.accuracy import above, ends, in_words
from glocal_exp.report.claims.criterion import Criterion, Finding, size
from glocal_exp.report.runs import read
from glocal_exp.report.selection import Selection
from glocal_exp.store import find_runs


@dataclass(frozen=True)
class BestWindow(Criterion):
    """Whether one window ends above every other, paired by delays and seed (Holm over windows)."""

    experiment: str  # whose runs of glocal
    best: int  # the window that the claim names
    column: str = "validation_accuracy"  # of the records, an accuracy
    margin: float = 0.5  # points, within which two windows are equal

    def judge(self, context: Context) -> Finding:
        selection, grid = windows_and_delays(context, self.experiment, self.column)
        table = grid.pivot(index=["delays", "seed"], columns="window", values="value")
        others = [window for window in table if window != self.best]
        if self.best not in table or not others:
            raise MissingRuns(self.experiment)
        apart = {
            f"than {window}": (table[self.best] - table[window]).dropna().tolist()
            for window in others
        }
        apart = {name: values for name, values in apart.items() if values}
        found = above(apart, self.margin)
        return Finding(found, in_words(apart), size({self.experiment: selection}))


def windows_and_delays(
    context: Context, experiment: str, column: str
) -> tuple[Selection, pd.DataFrame]:
    """The longest finished runs of glocal, and of each its window, delays, seed and `value`.

    That is the column's mean over the last evaluations, in percent.

    Raises:
        MissingRuns: there is none.
    """
    stored = find_runs(context.runs, {"experiment": experiment, "method": "glocal"})
    runs, notes = read(stored)
    runs = [run for run in runs if run.finished]
    if not runs:
        raise MissingRuns(experiment)
    steps = max(run.steps for run in runs)
    runs = [run for run in runs if run.steps == steps]
    rows = [
        {
            "window": int(run.stored.value("method.window")),
            "delays": int(run.stored.value("method.delays")),
            "seed": run.seed,
            "value": ends([run], column=column)[run.seed],
        }
        for run in runs
    ]
    return Selection(experiment, steps, tuple(runs), tuple(notes)), pd.DataFrame(rows)
