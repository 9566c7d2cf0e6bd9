"""How far into an interval, and into a playout, a hypergradient can be reproduced."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.fidelity import STUDY, Point, points
from glocal_exp.report.study import provenance

LOOKS = {"float64": (style.BLUE, "-"), "start1": (style.VERMILLION, (0, (4, 1.5)))}
LABELS = {"float64": "float64 against float32", "start1": "weights moved by rounding's size"}
HEIGHT = 3.4  # inches
LEVELS = (1e-7, 1e1)
READING = (
    "Relative difference |h_t - h'_t| / |h_t| between the hypergradient of training as it is, and "
    "that of the same training computed in float64, or begun from weights moved by about "
    "float32's rounding. Above: at every step of an interval. Below: at the end of every interval "
    "of the playout to T. Thin lines are single points (seeds and intervals), bold ones their "
    "median; above 1 (dotted) nothing of the hypergradient is left."
)


@dataclass(frozen=True)
class SensitivityFigure:
    """One column a setting.

    Attributes:
        title: the caption's first sentence.
        validation: images that h_t inside of an interval is taken on.
    """

    title: str
    validation: int

    def draw(self, context: Context) -> Drawing:
        found, frame = points(context)
        settings = sorted({point.setting for point in found})
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        panels = figure.subplots(2, len(settings), squeeze=False, sharey=True)
        for column, setting in zip(panels.T, settings, strict=True):
            of_setting = [point for point in found if point.setting == setting]
            column[0].set_title(setting)
            for name in LOOKS:
                inside = [self._inside(point, name) for point in of_setting]
                _lines(column[0], name, [line for line in inside if line is not None])
                outside = [_played_out(point, name) for point in of_setting]
                _lines(column[1], name, [line for line in outside if line is not None])
            column[0].set_xlabel("training step t of the interval")
            column[1].set_xlabel("training steps played out")
        for axes in panels.flat:
            axes.set_yscale("log")
            axes.set_ylim(*LEVELS)
            axes.axhline(1, color="black", linewidth=0.8, linestyle=(0, (1, 1.5)))
        for axes in panels[:, 0]:
            axes.set_ylabel("relative difference of $h_t$")
        handles = [
            Line2D([], [], color=colour, linestyle=line, label=LABELS[name])
            for name, (colour, line) in LOOKS.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        text = f"{self.title} {READING}\n\n{STUDY}: {provenance(frame)}\n"
        return Drawing(figure, text)

    def _inside(self, point: Point, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        base, other = (point.intervals.get(key) for key in (str(self.validation), name))
        if base is None or other is None:
            return None
        return np.arange(1, len(base) + 1), difference(base, other)


def _played_out(point: Point, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    if name not in point.playouts:
        return None
    base, other = point.playouts["base"], point.playouts[name]
    return np.arange(1, len(base) + 1) * point.interval, difference(base, other)


def difference(
    h: Float[np.ndarray, "n q"], other: Float[np.ndarray, "n q"]
) -> Float[np.ndarray, " n"]:
    """|h_t - h'_t| / |h_t| at every t."""
    return np.linalg.norm(h - other, axis=1) / np.linalg.norm(h, axis=1)


def _lines(axes: Axes, name: str, lines: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    colour, look = LOOKS[name]
    by_x: dict[float, list[float]] = {}
    for x, y in lines:
        axes.plot(x, y, color=colour, linestyle=look, linewidth=0.4, alpha=0.5)
        for place, value in zip(x.tolist(), y.tolist(), strict=True):
            by_x.setdefault(place, []).append(value)
    medians = [(x, np.median(by_x[x])) for x in sorted(by_x)]
    if medians:
        axes.plot(*zip(*medians, strict=True), color=colour, linestyle=look, linewidth=1.4)
