"""The learned weight of an example as a function of its loss, over training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glocal_exp.errors import UserError
from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.caption import copied
from glocal_exp.report.labelled import Kinds
from glocal_exp.report.selection import Run, Selection

HEIGHT = 2.0  # inches
PREFIX = "hyperparameter/weight_at_"
TIMES = (0.0, 1 / 3, 2 / 3, 1.0)
"""Shares of training at which the curve is drawn."""
SHADES: tuple[tuple[str, Any, float], ...] = (
    ("#BDBDBD", "-", 3.0),  # wide: the next one may lie on it
    ("#6BAED6", "-.", 1.2),
    (style.BLUE, "--", 1.2),
    (style.BLACK, "-", 1.2),
)
"""Colour, line and its width in points."""
READING = (
    "The weight mu(L) that an example of loss L has in training, as used in the interval that ends "
    "at the time named: in the first one the initial weights, and nowhere those of the last meta "
    "step. Thin lines are single seeds, bold ones their mean, which is a curve that no seed has "
    "where they end apart; dots are the losses at which it was recorded."
)


@dataclass(frozen=True)
class WeightCurve(Kinds):
    """One panel a kind of run."""

    def draw(self, context: Context) -> Drawing:
        stored, missing = self.stored(context)
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        panels = figure.subplots(1, len(stored), squeeze=False, sharey=True)[0]
        for axes, (label, selection) in zip(panels, stored.items(), strict=True):
            axes.set_title(label)
            _panel(axes, selection)
        panels[0].set_ylabel("weight")
        handles = [
            Line2D([], [], color=colour, linestyle=line, linewidth=width, label=_share(share))
            for share, (colour, line, width) in zip(TIMES, SHADES, strict=True)
        ]
        shown = (run for selection in stored.values() for run in selection.runs)
        figure.legend(
            handles=handles, loc="outside upper center", ncols=len(handles), title=copied(shown)
        )
        text = caption.join(self.title, READING, stored, context)
        return Drawing(figure, text, missing)


def _panel(axes: Axes, selection: Selection) -> None:
    losses = np.array(_losses(selection.runs[0]))
    for share, (colour, line, width) in zip(TIMES, SHADES, strict=True):
        curves = np.array([_weights(run, losses, share) for run in selection.runs])
        for curve in curves:
            axes.plot(losses, curve, color=colour, linewidth=0.45, alpha=0.75)
        axes.plot(
            losses, curves.mean(axis=0), color=colour, linestyle=line, linewidth=width, marker=".",
            markersize=2.5,
        )  # fmt: skip
    axes.set_xlabel("loss L of the example")
    axes.set_ylim(-0.03, 1.03)


def _losses(run: Run) -> list[float]:
    columns = [name for name in run.metrics if str(name).startswith(PREFIX)]
    if not columns:
        raise UserError(
            f"{run.stored.path} has recorded no weights; run it again with losses in "
            "task.shown_losses."
        )
    return sorted(float(str(name).removeprefix(PREFIX)) for name in columns)


def _weights(run: Run, losses: np.ndarray, share: float) -> np.ndarray:
    rows = run.metrics
    row = rows.iloc[round(share * (len(rows) - 1))]
    return np.array([row[f"{PREFIX}{loss:g}"] for loss in losses])


def _share(share: float) -> str:
    return {0.0: "at the start", 1.0: "at the end"}.get(share, f"after {share:.0%} of training")
