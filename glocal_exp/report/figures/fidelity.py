"""Estimates of an interval beside the true global hypergradient, every point shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.fidelity import (
    STUDY,
    TRUTHS,
    Estimator,
    Point,
    ceiling,
    estimators,
    points,
    score,
)
from glocal_exp.report.study import provenance

MARKERS = (("o", style.BLUE), ("s", style.VERMILLION), ("^", style.GREEN), ("D", style.PURPLE))
ROW = 0.16  # inches
READING = (
    "Cosine of the angle between an estimate and the true global hypergradient h_T, averaged over "
    "the truths of a point (as trained, in float64, from slightly moved weights, with other orders "
    "of the batches). A mark is one interval of one seed; the bar is the median. 'another truth' "
    "is how the truths of a point compare with each other."
)


@dataclass(frozen=True)
class FidelityFigure:
    """One panel a setting, one row an estimator.

    Attributes:
        title: the caption's first sentence.
        estimators: entries of `report.fidelity.Estimator`; `report.fidelity.ESTIMATORS` if None.
    """

    title: str
    estimators: Sequence[Mapping[str, Any]] | None = None

    def draw(self, context: Context) -> Drawing:
        found, frame = points(context)
        settings = sorted({point.setting for point in found})
        chosen = estimators(self.estimators)
        height = 0.7 + ROW * (len(chosen) + 1) * -(-len(settings) // 2) + 0.35
        figure = Figure(figsize=(style.PAGE_WIDTH, height))
        columns = min(2, len(settings))
        panels = figure.subplots(
            -(-len(settings) // columns), columns, squeeze=False, sharex=True, sharey=True
        )
        intervals = sorted({point.s for point in found})
        for axes, setting in zip(panels.flat, settings, strict=False):
            axes.set_title(setting)
            _panel(axes, [p for p in found if p.setting == setting], chosen, intervals)
        for axes in panels.flat[len(settings) :]:
            axes.set_axis_off()
        for axes in panels.flat[: len(settings)][-columns:]:  # nothing below them
            axes.set_xlabel("cosine to the true global hypergradient")
            axes.tick_params(labelbottom=True)
        _legend(figure, intervals)
        text = f"{self.title} {READING}\n\n{STUDY}: {provenance(frame)}\n"
        return Drawing(figure, text)


def _panel(
    axes: Axes, found: Sequence[Point], chosen: Sequence[Estimator], intervals: Sequence[int]
) -> None:
    labels = [TRUTHS, *(estimator.label for estimator in chosen)]
    for row, estimator in enumerate([None, *chosen]):
        values = [
            ceiling(p).cosine if estimator is None else score(p, p.estimate(estimator)).cosine
            for p in found
        ]
        for point, value in zip(found, values, strict=True):
            marker, colour = _mark(intervals, point.s)
            axes.plot(value, row, marker, color=colour, markersize=2.8, markeredgewidth=0)
        if finite := [value for value in values if np.isfinite(value)]:
            median = float(np.median(finite))
            axes.plot([median, median], [row - 0.38, row + 0.38], color="black", linewidth=1.3)
    axes.axhline(0.5, color="#888888", linewidth=0.6)
    axes.axvline(0, color="#888888", linewidth=0.6)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(-1.05, 1.05)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])


def _mark(intervals: Sequence[int], s: int) -> tuple[str, str]:
    return MARKERS[intervals.index(s) % len(MARKERS)]


def _legend(figure: Figure, intervals: Sequence[int]) -> None:
    handles = [
        Line2D(
            [], [], linestyle="", marker=_mark(intervals, s)[0], color=_mark(intervals, s)[1],
            markersize=3.5, label=f"interval s = {s}",
        )
        for s in intervals
    ]  # fmt: skip
    handles.append(Line2D([], [], color="black", linewidth=1.3, label="median"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
