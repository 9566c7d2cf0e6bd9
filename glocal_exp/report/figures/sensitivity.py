"""How far into an interval, and into a playout, a hypergradient can be reproduced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.fidelity_points import by_setting, differences, points

LOOKS: dict[str, Any] = {
    "float64": {"color": style.BLUE, "linestyle": "-"},
    "start1": {"color": style.VERMILLION, "linestyle": (0, (4, 1.5))},
}
LABELS = {"float64": "float64 against float32", "start1": "weights moved by rounding's size"}
HEIGHT = 3.4  # inches
LEVELS = (1e-7, 1e1)


@dataclass(frozen=True)
class SensitivityFigure(Artifact):
    """One column a setting.

    Attributes:
        validation: images that h_t inside of an interval is taken on.
    """

    validation: int

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        settings = by_setting(found)
        figure, panels = style.panels(2, len(settings), HEIGHT, sharey=True)
        for column, (setting, of) in zip(panels.T, settings.items(), strict=True):
            column[0].set_title(setting)
            for name in LOOKS:
                inside = [differences(p.intervals, str(self.validation), name) for p in of]
                _lines(column[0], name, inside, [1] * len(of))
                outside = [differences(p.playouts, "base", name) for p in of]
                _lines(column[1], name, outside, [p.interval for p in of])
            column[0].set_xlabel("training step t of the interval")
            column[1].set_xlabel("training steps played out")
        for axes in panels.flat:
            axes.set(yscale="log", ylim=LEVELS)
            axes.axhline(1, color="black", linewidth=0.8, linestyle=(0, (1, 1.5)))
        for axes in panels[:, 0]:
            axes.set_ylabel("relative difference of $h_t$")
        handles = [Line2D([], [], **look, label=LABELS[name]) for name, look in LOOKS.items()]
        style.legend_above(figure, handles)
        text = self.caption(source, apart=False)
        return Drawing(figure, text)


def _lines(axes: Axes, name: str, lines: Sequence[np.ndarray], steps: Sequence[int]) -> None:
    """Each thin and their median bold, against steps of so many training steps."""
    by_x = [
        pd.Series(y, index=step * np.arange(1, len(y) + 1))
        for y, step in zip(lines, steps, strict=True)
        if len(y)
    ]
    for line in by_x:
        axes.plot(line.index, line, **LOOKS[name], linewidth=0.4, alpha=0.5)
    if by_x:
        medians = pd.concat(by_x, axis=1).median(axis=1).sort_index()
        axes.plot(medians.index, medians, **LOOKS[name], linewidth=1.4)
