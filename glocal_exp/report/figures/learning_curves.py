"""Figs. 2, 3 and C.1 to C.4: test accuracy and every hyperparameter over training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Context, Drawing, MissingRuns
from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.curves import Curve, curve, draw_curves
from glocal_exp.report.selection import Selection, select

ROW_HEIGHT, LEGEND_HEIGHT = 1.55, 0.3  # inches
EARLY = 0.1  # the share of training whose accuracy may lie below the axis
READING = (
    "Thin lines are single seeds, bold lines their mean, drawn as far as all seeds of a method "
    "have a finite value; a cross marks the last finite point of a seed that diverged. "
    "Hyperparameters are in natural units, each value drawn at the end of the interval in which "
    "it was used, on axes that are logarithmic towards 0 (and towards 1 for momentum and the "
    "betas). The first 10 % of training may lie below the accuracy axis."
)


@dataclass(frozen=True)
class LearningCurves:
    """One row of panels an experiment: test accuracy, then its hyperparameters.

    Attributes:
        title: the caption's first sentence.
        rows: experiment -> the label of its row.
        methods: those that the comparison needs; others that are stored are drawn too.
        where: further conditions on the runs, as in `store.find_runs`.
    """

    title: str
    rows: Mapping[str, str]
    methods: Sequence[str] = ("none", "local", "global", "glocal")
    where: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, context: Context) -> Drawing:
        found = {name: select(context.runs, name, self.methods, self.where) for name in self.rows}
        selections = [one for one in found.values() if one is not None]
        if not selections:
            raise MissingRuns(list(self.rows))
        names = [_hyperparameters(one) for one in selections]
        columns = 1 + max(len(row) for row in names)
        height = ROW_HEIGHT * len(selections) + LEGEND_HEIGHT
        figure = Figure(figsize=(style.PAGE_WIDTH, height))
        panels = figure.subplots(len(selections), columns, squeeze=False)
        methods = style.method_order(name for one in selections for name in one.methods)
        styles = style.method_styles(methods)
        for row, selection, hyperparameters in zip(panels, selections, names, strict=True):
            draw_accuracy(row[0], selection, styles)
            for axes, name in zip(row[1:], hyperparameters, strict=False):
                draw_hyperparameter(axes, selection, name, styles)
            for axes in row[1 + len(hyperparameters) :]:
                axes.set_visible(False)
            label = caption.marked(self.rows[selection.experiment], selection.runs)
            if len(self.rows) > 1 or label != self.rows[selection.experiment]:
                row[0].set_title(label, loc="left", fontweight="bold")
        diverged = any(run.diverged for one in selections for run in one.runs)
        style.method_legend(figure, methods, diverged)
        missing = [name for name, one in found.items() if one is None or one.incomplete]
        return Drawing(
            figure, caption.join(self.title, READING, selections, context), tuple(missing)
        )


def draw_accuracy(
    axes: Axes, selection: Selection, styles: Mapping[str, style.MethodStyle]
) -> list[float]:
    """Test accuracy in percent over training steps; returns the values that its axis must hold."""
    curves = _curves(selection, "test_accuracy", scale=100.0)
    late = [
        one.values[one.steps >= EARLY * selection.steps]
        for group in curves.values()
        for one in group
    ]
    values = np.concatenate([np.empty(0), *late]).tolist()
    _draw(axes, selection, curves, styles)
    apply_scale(axes, "linear", values)
    axes.set_ylabel("test accuracy (%)")
    return values


def draw_hyperparameter(
    axes: Axes, selection: Selection, name: str, styles: Mapping[str, style.MethodStyle]
) -> list[float]:
    """One hyperparameter in natural units over training steps; returns its values."""
    curves = _curves(selection, f"hyperparameter/{name}")
    values = np.concatenate(
        [np.empty(0), *(one.values for group in curves.values() for one in group)]
    ).tolist()
    axis = hyperparameter_axis(name, values)
    _draw(axes, selection, curves, styles)
    apply_scale(axes, axis.scale, values)
    axes.set_ylabel(axis.label)
    return values


def _curves(selection: Selection, column: str, scale: float = 1.0) -> dict[str, list[Curve]]:
    grouped = {}
    for method in selection.methods:
        raw = [curve(run.seed, run.metrics, column) for run in selection.of(method)]
        grouped[method] = [
            Curve(one.seed, one.steps, one.values * scale, one.diverged) for one in raw
        ]
    return grouped


def _draw(
    axes: Axes,
    selection: Selection,
    curves: Mapping[str, Sequence[Curve]],
    styles: Mapping[str, style.MethodStyle],
) -> None:
    for place, (method, group) in enumerate(curves.items()):
        draw_curves(axes, group, styles[method], offset=(place + 0.5) / len(curves))
    axes.set_xlim(0, selection.steps)
    axes.set_xlabel("training step")
    thousands = selection.steps >= 10_000
    axes.set_xticks([0, selection.steps / 2, selection.steps])
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if thousands and value else f"{value:g}"
    )


def _hyperparameters(selection: Selection) -> list[str]:
    names = (
        column.removeprefix("hyperparameter/")
        for run in selection.runs
        for column in run.metrics.columns
        if column.startswith("hyperparameter/")
    )
    return list(dict.fromkeys(names))
