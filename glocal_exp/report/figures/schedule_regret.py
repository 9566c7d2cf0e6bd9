"""Regret on quadratics with noise: every run, by method, meta optimizer and length."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from glocal_exp.report import study_rows, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.tables.regret import DIVERGED, summarize

ROW = 0.2  # inches to a method
AROUND = 0.75  # and to what is above and below a panel
SPREAD = 0.28  # of a row, that its points take up
LIMITS, TICKS = (0.4, 2 * DIVERGED), (1, 10, 100)


@dataclass(frozen=True)
class ScheduleRegretFigure(Artifact):
    """A panel for each length and meta optimizer, a row for each method."""

    study: str
    # method -> its label, from the top; those that follow the exact derivative and those that
    # follow nothing stand apart by their colours
    methods: Mapping[str, str]
    meta_optimizers: Mapping[str, str]  # meta optimizer -> the title of its column

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, self.study)
        lengths = sorted(set(frame["outer_steps"].astype(int)))
        height = len(lengths) * (ROW * len(self.methods) + AROUND)
        figure, panels = style.panels(
            len(lengths), len(self.meta_optimizers), height, sharex=True, sharey=True
        )
        summary = summarize(frame)
        for length, row in zip(lengths, panels, strict=True):
            for (meta, title), axes in zip(self.meta_optimizers.items(), row, strict=True):
                where = {"outer_steps": length, "meta_optimizer": meta}
                self._draw_panel(axes, *(study_rows.chosen(f, where) for f in (frame, summary)))
                axes.set_title(f"{title}, {length} outer steps")
        for axes in panels[-1]:
            axes.set_xlabel("final loss / best schedule's")
        runs = summary["runs"].max()
        text = self.caption(study_rows.provenance(frame), runs=runs, diverged_at=f"{DIVERGED:,.0f}")
        return Drawing(figure, text)

    def _draw_panel(self, axes: Axes, frame: pd.DataFrame, summary: pd.DataFrame) -> None:
        summary = summary.set_index("method")
        for place, method in enumerate(self.methods):
            if method not in summary.index:
                continue
            found, colour = study_rows.chosen(frame, {"method": method}), colour_of(method)
            fine = found.loc[found["regret"] < DIVERGED, "regret"].to_numpy(float)
            shift = SPREAD * np.sin(np.arange(len(fine)) * 2.4)  # spread evenly, without chance
            axes.plot(fine, place + shift, ".", color=colour, markersize=1.6, alpha=0.35)
            mean = float(summary.loc[method, "regret"])
            axes.plot(mean, place, "o", color=colour, markeredgecolor="white", markersize=4.5)
            lost = int(summary.loc[method, "diverged"])
            note = f"{mean:.2f}" + (f"  ({lost} lost)" if lost else "")
            axes.text(
                0.985, place, note, transform=axes.get_yaxis_transform(), ha="right",
                va="center", fontsize=style.SMALLEST_FONT,
                bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.6},
            )  # fmt: skip
        axes.axvline(1, color=style.BLACK, linewidth=0.7, linestyle=(0, (1, 2)))
        axes.set(xscale="log", xlim=LIMITS)
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.xaxis.set_minor_locator(NullLocator())
        style.label_rows(axes, list(self.methods.values()))
        axes.grid(visible=False, axis="y")


def colour_of(method: str) -> str:
    """Exact derivatives, split and all others stand apart."""
    if method.startswith("exact"):
        return style.BLUE
    return style.VERMILLION if method.startswith("split") else style.BLACK
