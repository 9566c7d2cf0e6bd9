"""How far ahead a hypergradient has to look: exact ones from local to global beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.fidelity_points import Point, by_setting, points
from glocal_exp.report.vectors import cosine

HEIGHT = 2.1  # inches
LOOKS: Sequence[tuple[str, Any]] = (
    (style.BLUE, "-"),
    (style.VERMILLION, (0, (4, 1.5))),
    (style.GREEN, (0, (1, 1))),
)
TRUE_PLAYOUT = "base"


@dataclass(frozen=True)
class HorizonFigure(Artifact):
    """A panel a setting: the cosine to the slopes of the final loss against intervals ahead."""

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        settings = by_setting([point for point in found if len(point.slopes)])
        intervals = sorted({point.s for point in found})
        figure, panels = style.panels(1, len(settings), HEIGHT, sharex=True, sharey=True)
        for axes, (setting, of) in zip(panels[0], settings.items(), strict=True):
            axes.set_title(setting)
            for s, (colour, line) in zip(intervals, LOOKS, strict=False):
                _lines(axes, [point for point in of if point.s == s], colour, line)
            axes.axhline(0, color="#888888", linewidth=0.6)
            axes.set(ylim=(-1.08, 1.08), yticks=[-1, 0, 1], xlabel="intervals ahead")
        panels[0, 0].set_ylabel("cosine to slopes of the final loss")
        looks = {
            f"interval s = {s}": {"color": colour, "linestyle": line, "linewidth": 1.4}
            for s, (colour, line) in zip(intervals, LOOKS, strict=False)
        }
        style.legend_of(figure, looks)
        return Drawing(figure, self.caption(source, points=sum(map(len, settings.values()))))


def _lines(axes: Axes, found: Sequence[Point], colour: str, line: Any) -> None:
    """A point each, thin, and their median."""
    each = [horizon(point) for point in found]
    for values in each:
        axes.plot(values.index, values, color=colour, linewidth=0.5, alpha=0.5)
    if each:
        median = pd.concat(each, axis=1).median(axis=1)
        axes.plot(median.index, median, color=colour, linestyle=line, linewidth=1.6)


def horizon(point: Point) -> pd.Series:
    """By intervals ahead, the cosine of the exact hypergradient there to the point's slopes."""
    played = point.playouts[TRUE_PLAYOUT]
    return pd.Series(cosine(played, np.mean(point.slopes, axis=0)), index=range(len(played)))
