"""Test accuracy and hyperparameters over training: Figs. 2, 3 and C.1 to C.4, and starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.claims.accuracy import ends
from glocal_exp.report.selection import Selection, select_all
from glocal_exp.stats import mean_interval

ROW_HEIGHT, LEGEND_HEIGHT, STARTS_HEIGHT = 1.55, 0.3, 4.3  # inches
END_WIDTH = 0.5  # of the other panels'
EARLY = 0.1  # the share of training whose accuracy may lie below the axis
ACCURACY = "test_accuracy"
Styles = Mapping[str, style.MethodStyle]


@dataclass(frozen=True)
class LearningCurves(Artifact):
    """One row of panels an experiment: test accuracy, its end enlarged, then hyperparameters."""

    experiments: Mapping[str, str]  # experiment -> its label
    # those that the comparison needs; others that are stored are drawn too, but for optimizers that
    # have nothing to learn beside those that have
    methods: Sequence[str] = ("none", "local", "global", "glocal")

    def draw(self, context: Context) -> Drawing:
        found, missing = select_all(context, self.experiments, self.methods)
        found = {name: _with_hyperparameters(selection) for name, selection in found.items()}
        styles = style.method_styles(name for one in found.values() for name in one.methods)
        figure = self._panels(found, styles)
        style.method_legend(figure, styles, any(one.diverged for one in found.values()))
        text = self.caption(*caption.paragraphs(found.values(), context))
        return Drawing(figure, text, missing)

    def _panels(self, found: Mapping[str, Selection], styles: Styles) -> Figure:
        columns = max(len(one.hyperparameters) for one in found.values())
        height = ROW_HEIGHT * len(found) + LEGEND_HEIGHT
        widths = (1, END_WIDTH, *[1] * columns)
        figure, panels = style.panels(len(found), len(widths), height, width_ratios=widths)
        for row, (experiment, selection) in zip(panels, found.items(), strict=True):
            draw_column(row[0], selection, ACCURACY, styles)
            draw_end(row[1], selection, styles)
            for axes, name in zip_longest(row[2:], selection.hyperparameters):
                if name:
                    draw_column(axes, selection, f"hyperparameter/{name}", styles)
                else:
                    axes.set_visible(False)
            label = caption.marked(self.experiments[experiment], selection.runs)
            if len(self.experiments) > 1 or label != self.experiments[experiment]:
                row[0].set_title(label, loc="left", fontweight="bold")
        return figure


@dataclass(frozen=True)
class StartMatrix(LearningCurves):
    """One column an experiment: test accuracy, its end, and one hyperparameter on the same axis."""

    hyperparameter: str = "learning_rate"

    def _panels(self, found: Mapping[str, Selection], styles: Styles) -> Figure:
        figure, panels = style.panels(3, len(self.experiments), STARTS_HEIGHT)
        values = []
        for column, (name, label) in zip(panels.T, self.experiments.items(), strict=True):
            column[0].set_title(label)
            if name in found:
                draw_column(column[0], found[name], ACCURACY, styles)
                draw_end(column[1], found[name], styles)
                tuned = f"hyperparameter/{self.hyperparameter}"
                values += draw_column(column[2], found[name], tuned, styles)
                continue
            for axes in column:
                axes.text(0.5, 0.5, "not run", ha="center", transform=axes.transAxes)
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
        first = next(
            axes for axes, name in zip(panels[2], self.experiments, strict=True) if name in found
        )
        for axes in panels[2]:
            axes.sharey(first)
        apply_scale(first, hyperparameter_axis(self.hyperparameter, values).scale, values)
        for axes in panels[:, 1:].flat:
            axes.set_ylabel("")
        panels[1, 0].set_ylabel("at the end (%)")
        return figure


def _with_hyperparameters(selection: Selection) -> Selection:
    """The runs that have some, if any has."""
    columns = [f"hyperparameter/{name}" for name in selection.hyperparameters]
    runs = [run for run in selection.runs if run.metrics.columns.isin(columns).any()]
    return replace(selection, runs=tuple(runs)) if runs else selection


def draw_end(axes: Axes, selection: Selection, styles: Styles) -> None:
    """Each seed's mean test accuracy of the last evaluations; beside them mean and interval."""
    counts, intervals = [], []
    accuracies = {method: list(ends(selection.of(method)).values()) for method in selection.methods}
    values = np.concatenate(list(accuracies.values()))
    for place, (method, found) in enumerate(accuracies.items()):
        look = styles[method]
        mark = {"color": look.colour, "linestyle": "", "clip_on": False}
        axes.plot([place - 0.15] * len(found), found, marker=look.marker, markersize=2.5, **mark)
        counts.append(len(found))
        if len(found) > 1:
            mean, low, high = mean_interval(found)
            axes.plot([place + 0.25] * 2, [low, high], color=look.colour, linewidth=0.9)
            axes.plot(place + 0.25, mean, marker="_", markersize=5, markeredgewidth=1.5, **mark)
            intervals += [low, high]
    axes.set_xticks(range(len(counts)), [str(count) for count in counts])
    axes.set(xlim=(-0.7, len(counts) - 0.3), xlabel="seeds")
    axes.grid(visible=False, axis="x")
    room = 0.5 * np.ptp(values)  # for intervals: the widest of three seeds hide all else
    shown = np.clip(intervals, values.min() - room, min(values.max() + room, 100))
    apply_scale(axes, "linear", [*values, *shown])


def draw_column(axes: Axes, selection: Selection, column: str, styles: Styles) -> list[float]:
    """A column of the records over training steps; returns the values that its axis must hold.

    Test accuracy is in percent.
    """
    start, factor, values, end = 0.0, 1, [], selection.steps
    if column == ACCURACY:
        start, factor = EARLY * end, 100
    for place, method in enumerate(selection.methods):
        runs = selection.of(method)
        curves = [factor * run.curve(column) for run in runs]
        offset = (place + 0.5) / len(selection.methods)
        draw_curves(axes, curves, [run.diverged for run in runs], styles[method], offset)
        values += [value for one in curves for value in one[one.index >= start]]
    axes.set(xlim=(0, end), xlabel="training step", xticks=[0, end / 2, end])
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if end >= 10_000 and value else f"{value:g}"
    )
    axis = hyperparameter_axis(column.removeprefix("hyperparameter/"), values)
    label, scale = ("test accuracy (%)", "linear") if column == ACCURACY else axis
    apply_scale(axes, scale, values)
    axes.set_ylabel(label)
    return values


def draw_curves(
    axes: Axes,
    curves: Sequence[pd.Series],
    diverged: Sequence[bool],
    look: style.MethodStyle,
    offset: float,
) -> None:
    """Every seed thin, the mean of several bold, a cross where a seed diverged.

    Args:
        offset: where on the mean the first marker sits, as a share of the marker distance.
    """
    colour = look.colour
    for one, lost in zip(curves, diverged, strict=True):
        axes.plot(one.index, one, color=colour, linewidth=0.45, alpha=0.75, zorder=2)
        if lost:
            axes.plot(
                one.index[-1:], one.iloc[-1:], color=colour, marker="X", markersize=5,
                markeredgecolor="white", markeredgewidth=0.4, zorder=5, clip_on=False,
            )  # fmt: skip
    mean = mean_curve(curves)
    distance = max(1, len(mean) // 5)
    axes.plot(
        mean.index, mean, color=colour, linestyle=look.line, zorder=3,
        linewidth=1.2 if len(curves) > 1 else 0.45,
        marker=look.marker, markersize=2.8, markeredgewidth=0.6,
        markevery=(min(round(offset * distance), max(0, len(mean) - 1)), distance),
    )  # fmt: skip


def mean_curve(curves: Sequence[pd.Series]) -> pd.Series:
    """The mean where every seed has a value: none over the survivors alone."""
    return pd.concat(curves, axis=1, join="inner").sort_index().mean(axis=1)
