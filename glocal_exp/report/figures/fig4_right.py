"""Fig. 4, right: what training comes to with other windows and delays of Hankel DMD."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing, MissingRuns
from glocal_exp.report.runs import read
from glocal_exp.report.selection import Selection
from glocal_exp.store import find_runs

HEIGHT = 2.6  # inches
LAST = 5
"""Evaluations at the end of a run that are averaged."""


@dataclass(frozen=True)
class WindowsAndDelays(Artifact):
    """A cell a window and number of delays, with its mean over seeds in words.

    Attributes:
        experiment: whose runs.
        column: of the records.
        method: whose window and delays.
    """

    experiment: str
    column: str
    method: str

    def draw(self, context: Context) -> Drawing:
        conditions = {"experiment": self.experiment, "method": self.method}
        runs, notes = read(find_runs(context.runs, conditions))
        runs = [run for run in runs if run.finished]
        if not runs:
            raise MissingRuns(self.experiment)
        steps = max(run.steps for run in runs)
        runs = [run for run in runs if run.steps == steps]
        values: Any = pd.DataFrame(
            {
                "window": int(run.stored.value("method.window")),
                "delays": int(run.stored.value("method.delays")),
                "value": 100 * float(np.mean(run.column(self.column)[-LAST:])),
            }
            for run in runs
        )
        groups = values.groupby(["window", "delays"])["value"]
        means, counts = groups.mean().unstack(), groups.count().unstack()
        figure, ((axes,),) = style.panels(1, 1, HEIGHT)
        shown = axes.imshow(means, cmap="cividis", aspect="auto")
        for row, column in np.ndindex(means.shape):
            value, count = means.iloc[row, column], counts.iloc[row, column]
            if np.isfinite(value):
                dark = shown.norm(value) < 0.5
                text = f"{value:.2f}" + (f"\n({count:g} seeds)" if count > 1 else "")
                colour = "white" if dark else "black"
                axes.text(column, row, text, color=colour, ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(means.columns)), means.columns)
        axes.set_yticks(range(len(means.index)), means.index)
        axes.set(xlabel="delays $m$", ylabel=r"window $\sigma$")
        axes.grid(False)
        figure.colorbar(shown, ax=axes, label=f"{self.column.replace('_', ' ')} (%)")
        selection = Selection(self.experiment, steps, tuple(runs), tuple(notes))
        return Drawing(figure, self.caption(caption.describe(selection, context), last=LAST))
