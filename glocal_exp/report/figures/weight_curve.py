"""The learned weight of an example as a function of its loss, over training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from glocal_exp.errors import UserError
from glocal_exp.report import caption, labelled, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.selection import Selection
from glocal_exp.report.training import hyperparameters

HEIGHT = 2.0  # inches
WEIGHT = "weight_at_"
TIMES: tuple[tuple[float, str, dict[str, Any]], ...] = (
    # wide: the next one may lie on it
    (0.0, "at the start", {"color": "#BDBDBD", "linestyle": "-", "linewidth": 3.0}),
    (1 / 3, "after 33% of training", {"color": "#6BAED6", "linestyle": "-.", "linewidth": 1.2}),
    (2 / 3, "after 67% of training", {"color": style.BLUE, "linestyle": "--", "linewidth": 1.2}),
    (1.0, "at the end", {"color": style.BLACK, "linestyle": "-", "linewidth": 1.2}),
)
"""Shares of training at which the curve is drawn."""


@dataclass(frozen=True)
class WeightCurve(Artifact):
    """One panel a kind of run.

    Attributes:
        kinds: entries of `report.labelled.Labelled`.
        where: further conditions on all of them.
    """

    kinds: Sequence[Mapping[str, Any]]
    where: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, context: Context) -> Drawing:
        stored, missing = labelled.stored(context, self.kinds, self.where)
        figure, (panels,) = style.panels(1, len(stored), HEIGHT, sharey=True)
        for axes, (label, selection) in zip(panels, stored.items(), strict=True):
            axes.set_title(label)
            _panel(axes, selection)
        panels[0].set_ylabel("weight")
        handles = [Line2D([], [], **look, label=label) for _, label, look in TIMES]
        runs = [run for selection in stored.values() for run in selection.runs]
        style.legend_above(figure, handles, title=caption.copied(runs))
        return Drawing(figure, self.caption(*caption.paragraphs(stored, context)), missing)


def _panel(axes: Axes, selection: Selection) -> None:
    names = [name for name in hyperparameters(selection) if name.startswith(WEIGHT)]
    if not names:
        raise UserError(
            f"{selection.runs[0].stored.path} has recorded no weights; run it again with losses in "
            "task.shown_losses."
        )
    losses = {float(name.removeprefix(WEIGHT)): f"hyperparameter/{name}" for name in names}
    x = sorted(losses)
    for share, _, look in TIMES:
        frames = [run.metrics[[losses[loss] for loss in x]] for run in selection.runs]
        curves = [one.iloc[round(share * (len(one) - 1))].to_numpy(float) for one in frames]
        for curve in curves:
            axes.plot(x, curve, color=look["color"], linewidth=0.45, alpha=0.75)
        axes.plot(x, np.mean(curves, axis=0), **look, marker=".", markersize=2.5)
    axes.set(xlabel="loss L of the example", ylim=(-0.03, 1.03))
