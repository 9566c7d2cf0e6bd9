"""Fig. 4, right: what training comes to with other windows and delays of Hankel DMD."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.claims.accuracy import LAST
from glocal_exp.report.claims.windows import windows_and_delays

HEIGHT = 2.6  # inches


@dataclass(frozen=True)
class WindowsAndDelays(Artifact):
    """A cell a window and number of delays, with its mean over seeds in words.

    Attributes:
        experiment: whose runs.
        column: of the records.
    """

    experiment: str
    column: str

    def draw(self, context: Context) -> Drawing:
        selection, grid = windows_and_delays(context, self.experiment, self.column)
        values: Any = grid
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
        return Drawing(figure, self.caption(caption.describe(selection, context), last=LAST))
