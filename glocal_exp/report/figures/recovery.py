"""What a bad initial learning rate costs: final accuracy by start, method and meta optimizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.axes import tick_label
from glocal_exp.report.starts import NONE, Cell, cells

HEIGHT = 4.4  # inches
BAND = (-8.0, 12.0)  # points that the lower panels hold; what is outside is at their border


@dataclass(frozen=True)
class Recovery(Artifact):
    """A column a meta optimizer: accuracy by start, and below it what is gained over no learning.

    Attributes:
        experiment: whose runs, from several starts.
        meta_optimizers: id -> the title of its column.
        methods: those that are drawn.
    """

    experiment: str
    meta_optimizers: Mapping[str, str]
    methods: Sequence[str]

    def draw(self, context: Context) -> Drawing:
        found = cells(context, self.experiment, self.meta_optimizers, self.methods)
        looks = style.method_styles(self.methods)
        columns = len(self.meta_optimizers)
        figure, panels = style.panels(2, columns, HEIGHT, sharex=True, sharey="row")
        for (upper, lower), (meta, title) in zip(
            panels.T, self.meta_optimizers.items(), strict=True
        ):
            own = [cell for cell in found if cell.meta_optimizer == meta]
            for name, look in looks.items():
                finals = {cell.start: cell.selection.finals(name) for cell in own}
                _line(upper, finals, look)
                if name != NONE:
                    _line(lower, _gained(own, finals), look, BAND)
            upper.set_title(title)
            _scale(upper, lower, sorted({cell.start for cell in found}))
        panels[0, 0].set_ylabel("test accuracy (%)")
        panels[1, 0].set_ylabel("minus a constant's (points)")
        panels[1, 0].set_ylim(BAND)
        style.method_legend(figure, self.methods, diverged=False)
        text = self.caption(caption.describe(found[0].selection, context))
        return Drawing(figure, text)


def _gained(
    cells: Sequence[Cell], finals: Mapping[float, Mapping[int, float]]
) -> dict[float, dict[int, float]]:
    """By start and seed, over constant hyperparameters."""
    gained = {}
    for cell in cells:
        constant, own = cell.selection.finals(NONE), finals[cell.start]
        gained[cell.start] = {s: v - constant[s] for s, v in own.items() if s in constant}
    return gained


def _line(
    axes: Axes,
    finals: Mapping[float, Mapping[int, float]],
    look: style.MethodStyle,
    band: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Means over seeds, joined, and each seed as a dot."""
    finals = {start: values for start, values in finals.items() if values}
    means = [np.mean(list(values.values())) for values in finals.values()]
    axes.plot(
        list(finals), np.clip(means, *band), color=look.colour, linestyle=look.line,
        marker=look.marker, linewidth=1.1, markersize=3.4,
    )  # fmt: skip
    for start, values in finals.items():
        each = np.clip(list(values.values()), *band)
        axes.plot([start] * len(each), each, ".", color=look.colour, markersize=1.8, alpha=0.5)


def _scale(upper: Axes, lower: Axes, starts: Sequence[float]) -> None:
    lower.set_xscale("log")
    decades = [start for start in starts if np.isclose(np.log10(start) % 1, 0) or len(starts) < 6]
    lower.set_xticks(decades, [tick_label(start) for start in decades])
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel("initial learning rate")
    lower.axhline(0, color=style.BLACK, linewidth=0.7, linestyle=(0, (1, 2)))
    upper.set_ylim(top=93)
