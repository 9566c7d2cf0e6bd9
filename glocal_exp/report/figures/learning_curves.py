"""Test accuracy and hyperparameters over training: Figs. 2, 3 and C.1 to C.4, and starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.curves import curve, draw_curves
from glocal_exp.report.selection import Selection, select_all

ROW_HEIGHT, LEGEND_HEIGHT, STARTS_HEIGHT = 1.55, 0.3, 3.2  # inches
EARLY = 0.1  # the share of training whose accuracy may lie below the axis
Styles = Mapping[str, style.MethodStyle]


@dataclass(frozen=True)
class LearningCurves(Artifact):
    """One row of panels an experiment: test accuracy, then its hyperparameters.

    Attributes:
        rows: experiment -> the label of its row.
        methods: those that the comparison needs; others that are stored are drawn too.
        where: further conditions on the runs, as in `store.find_runs`.
    """

    rows: Mapping[str, str]
    methods: Sequence[str] = ("none", "local", "global", "glocal")
    where: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, context: Context) -> Drawing:
        found, missing = select_all(context, self.rows, self.methods, self.where)
        styles = style.method_styles(name for one in found.values() for name in one.methods)
        height = ROW_HEIGHT * len(found) + LEGEND_HEIGHT
        columns = 1 + max(len(one.hyperparameters) for one in found.values())
        figure, panels = style.panels(len(found), columns, height)
        for row, (experiment, selection) in zip(panels, found.items(), strict=True):
            names = selection.hyperparameters
            draw_accuracy(row[0], selection, styles)
            for axes, name in zip(row[1:], names, strict=False):
                draw_hyperparameter(axes, selection, name, styles)
            for axes in row[1 + len(names) :]:
                axes.set_visible(False)
            label = caption.marked(self.rows[experiment], selection.runs)
            if len(self.rows) > 1 or label != self.rows[experiment]:
                row[0].set_title(label, loc="left", fontweight="bold")
        style.method_legend(figure, styles, any(one.diverged for one in found.values()))
        text = self.caption(*caption.paragraphs(found.values(), context))
        return Drawing(figure, text, missing)


@dataclass(frozen=True)
class StartMatrix(Artifact):
    """One column a start: test accuracy above one hyperparameter, on the same axes.

    Attributes:
        columns: experiment -> the label of its column.
        hyperparameter: the one drawn below.
        methods: those that the comparison needs.
    """

    columns: Mapping[str, str]
    hyperparameter: str = "learning_rate"
    methods: Sequence[str] = ("none", "local", "glocal")

    def draw(self, context: Context) -> Drawing:
        found, missing = select_all(context, self.columns, self.methods)
        styles = style.method_styles(name for one in found.values() for name in one.methods)
        figure, panels = style.panels(2, len(self.columns), STARTS_HEIGHT)
        by_experiment = dict(zip(self.columns, panels.T, strict=True))
        accuracies, values = [], []
        for name, (upper, lower) in by_experiment.items():
            upper.set_title(self.columns[name])
            if name in found:
                accuracies += draw_accuracy(upper, found[name], styles)
                values += draw_hyperparameter(lower, found[name], self.hyperparameter, styles)
                upper.set_xlabel("")
                continue
            for axes in (upper, lower):
                axes.text(0.5, 0.5, "not run", ha="center", transform=axes.transAxes)
                axes.set(xticks=[], yticks=[])
        for name in found:
            upper, lower = by_experiment[name]
            apply_scale(upper, "linear", accuracies)
            apply_scale(lower, hyperparameter_axis(self.hyperparameter, values).scale, values)
        for axes in panels[:, 1:].flat:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        style.method_legend(figure, styles, any(one.diverged for one in found.values()))
        text = self.caption(*caption.paragraphs(found.values(), context))
        return Drawing(figure, text, missing)


def draw_accuracy(axes: Axes, selection: Selection, styles: Styles) -> list[float]:
    """Test accuracy in percent over training steps; returns the values that its axis must hold."""
    values = _draw(axes, selection, "test_accuracy", styles, EARLY * selection.steps, scale=100)
    apply_scale(axes, "linear", values)
    axes.set_ylabel("test accuracy (%)")
    return values


def draw_hyperparameter(axes: Axes, selection: Selection, name: str, styles: Styles) -> list[float]:
    """One hyperparameter in natural units over training steps; returns its values."""
    values = _draw(axes, selection, f"hyperparameter/{name}", styles)
    axis = hyperparameter_axis(name, values)
    apply_scale(axes, axis.scale, values)
    axes.set_ylabel(axis.label)
    return values


def _draw(
    axes: Axes,
    selection: Selection,
    column: str,
    styles: Styles,
    start: float = 0,
    scale: float = 1,
) -> list[float]:
    """All methods; returns the values from the step `start` on."""
    values, end = [], selection.steps
    for place, method in enumerate(selection.methods):
        curves = [curve(run.seed, run.metrics, column, scale) for run in selection.of(method)]
        draw_curves(axes, curves, styles[method], (place + 0.5) / len(selection.methods))
        values += [v for one in curves for v in one.values[one.steps >= start].tolist()]
    axes.set(xlim=(0, end), xlabel="training step", xticks=[0, end / 2, end])
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if end >= 10_000 and value else f"{value:g}"
    )
    return values
