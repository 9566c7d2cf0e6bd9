"""The fidelity study: estimates beside the truth, and how far a hypergradient can be reproduced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing, MissingStudy
from glocal_exp.report.estimators import estimators
from glocal_exp.report.fidelity import Point, by_setting, differences, points, scores
from glocal_exp.report.vectors import cosine

ROW = 0.16  # inches
LOOKS: dict[str, Any] = {
    "float64": {"color": style.BLUE, "linestyle": "-"},
    "start1": {"color": style.VERMILLION, "linestyle": (0, (4, 1.5))},
}
LABELS = {"float64": "float64 against float32", "start1": "weights moved by rounding's size"}
SENSITIVITY_HEIGHT = 3.4  # inches
LEVELS = (1e-7, 1e1)
HORIZON_HEIGHT = 2.1  # inches
HORIZONS: tuple[dict[str, Any], ...] = (
    *LOOKS.values(),
    {"color": style.GREEN, "linestyle": (0, (1, 1))},
)


@dataclass(frozen=True)
class FidelityFigure(Artifact):
    """One panel a setting, one row an estimator."""

    estimators: Sequence[str] | None = None  # files of configs/estimator; all if None

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        compared, notes = estimators(context.configs, found, self.estimators)
        scored = scores(found, compared)
        labels = list(dict.fromkeys(scored["estimator"]))
        intervals = sorted(set(scored["s"]))
        marks = dict(zip(intervals, cycle(style.MARKS), strict=False))
        settings = list(scored.groupby("setting"))
        columns = min(2, len(settings))
        rows = -(-len(settings) // columns)
        height = 0.7 + ROW * len(labels) * rows + 0.35
        figure, panels = style.panels(rows, columns, height, sharex=True, sharey=True)
        for axes, (setting, of_setting) in zip(panels.flat, settings, strict=False):
            axes.set_title(setting)
            _panel(axes, of_setting, labels, marks)
        for axes in panels.flat[len(settings) :]:
            axes.set_axis_off()
        for axes in panels.flat[: len(settings)][-columns:]:  # nothing below them
            axes.set_xlabel("cosine to the true global hypergradient")
            axes.tick_params(labelbottom=True)
        mark = {"linestyle": "", "markersize": 3.5}
        looks = {f"interval s = {s}": mark | look for s, look in marks.items()}
        style.legend_of(figure, looks | {"median": {"color": "black", "linewidth": 1.3}})
        return Drawing(figure, self.caption(*notes, source))


def _panel(
    axes: Axes, scored: Any, labels: Sequence[str], marks: Mapping[int, Mapping[str, Any]]
) -> None:
    for row, label in enumerate(labels):
        rows = scored[scored["estimator"] == label]
        for value, s in zip(rows["cosine"], rows["s"], strict=True):
            axes.plot(value, row, linestyle="", **marks[s], markersize=2.8, markeredgewidth=0)
        median = rows["cosine"].median()
        axes.plot([median, median], [row - 0.38, row + 0.38], color="black", linewidth=1.3)
    axes.axhline(0.5, color="#888888", linewidth=0.6)
    axes.axvline(0, color="#888888", linewidth=0.6)
    style.label_rows(axes, labels)
    axes.set(xlim=(-1.05, 1.05), xticks=[-1, -0.5, 0, 0.5, 1])


@dataclass(frozen=True)
class SensitivityFigure(Artifact):
    """One column a setting."""

    validation: int  # images that h_t inside of an interval is taken on

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        settings = by_setting(found)
        figure, panels = style.panels(2, len(settings), SENSITIVITY_HEIGHT, sharey=True)
        for column, (setting, of) in zip(panels.T, settings.items(), strict=True):
            column[0].set_title(setting)
            for name, look in LOOKS.items():
                inside = [differences(p.intervals, str(self.validation), name) for p in of]
                _lines(column[0], inside, look)
                outside = [differences(p.playouts, "base", name, p.interval) for p in of]
                _lines(column[1], outside, look)
            column[0].set_xlabel("training step t of the interval")
            column[1].set_xlabel("training steps played out")
        for axes in panels.flat:
            axes.set(yscale="log", ylim=LEVELS)
            axes.axhline(1, color="black", linewidth=0.8, linestyle=(0, (1, 1.5)))
        for axes in panels[:, 0]:
            axes.set_ylabel("relative difference of $h_t$")
        style.legend_of(figure, {LABELS[name]: look for name, look in LOOKS.items()})
        return Drawing(figure, self.caption(source))


def _lines(axes: Axes, lines: Sequence[pd.Series], look: Mapping[str, Any]) -> None:
    """Their median, and a shade from quartile to quartile."""
    low, middle, high = (pd.concat(lines, axis=1).quantile(q, axis=1) for q in (0.25, 0.5, 0.75))
    axes.plot(middle.index, middle, **look, linewidth=1.2)
    axes.fill_between(middle.index, low, high, color=look["color"], alpha=0.2, linewidth=0)


@dataclass(frozen=True)
class HorizonFigure(Artifact):
    """A panel a setting: the cosine to the slopes of the final loss against intervals ahead."""

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        settings = by_setting([point for point in found if len(point.slopes)])
        if not settings:
            raise MissingStudy("fidelity")
        looks = dict(zip(sorted({point.s for point in found}), HORIZONS, strict=False))
        figure, panels = style.panels(1, len(settings), HORIZON_HEIGHT, sharex=True, sharey=True)
        for axes, (setting, of) in zip(panels[0], settings.items(), strict=True):
            axes.set_title(setting)
            for s, look in looks.items():
                _cosines(axes, [point for point in of if point.s == s], look)
            axes.axhline(0, color="#888888", linewidth=0.6)
            axes.set(ylim=(-1.08, 1.08), yticks=[-1, 0, 1], xlabel="intervals ahead")
        panels[0, 0].set_ylabel("cosine to slopes of the final loss")
        named = {f"interval s = {s}": look | {"linewidth": 1.4} for s, look in looks.items()}
        style.legend_of(figure, named)
        return Drawing(figure, self.caption(source, points=sum(map(len, settings.values()))))


def _cosines(axes: Axes, found: Sequence[Point], look: Mapping[str, Any]) -> None:
    """A point each, thin, and their median."""
    each = [horizon(point) for point in found]
    for values in each:
        axes.plot(values.index, values, color=look["color"], linewidth=0.5, alpha=0.5)
    if each:
        median = pd.concat(each, axis=1).median(axis=1)
        axes.plot(median.index, median, **look, linewidth=1.6)


def horizon(point: Point) -> pd.Series:
    """By intervals ahead, the cosine of the exact hypergradient there to the point's slopes."""
    played = point.playouts["base"]
    return pd.Series(cosine(played, np.mean(point.slopes, axis=0)), index=range(len(played)))
