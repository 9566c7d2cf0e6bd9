"""Panels over training: test accuracy and hyperparameters, a colour a method."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.curves import curve, draw_curves
from glocal_exp.report.selection import Selection
from glocal_exp.report.style import MethodStyle

EARLY = 0.1  # the share of training whose accuracy may lie below the axis
PREFIX = "hyperparameter/"
READING = (
    "Thin lines are single seeds, bold lines their mean, drawn as far as all seeds of a method "
    "have a finite value; a cross marks the last finite point of a seed that diverged. "
    "Hyperparameters are in natural units, each value drawn at the end of the interval in which "
    "it was used, on axes that are logarithmic towards 0 (and towards 1 for momentum and the "
    "betas). The first 10 % of training may lie below the accuracy axis."
)


def draw_accuracy(
    axes: Axes, selection: Selection, styles: Mapping[str, MethodStyle]
) -> list[float]:
    """Test accuracy in percent over training steps; returns the values that its axis must hold."""
    start = EARLY * selection.steps
    values = _draw(axes, selection, "test_accuracy", styles, start, scale=100.0)
    apply_scale(axes, "linear", values)
    axes.set_ylabel("test accuracy (%)")
    return values


def draw_hyperparameter(
    axes: Axes, selection: Selection, name: str, styles: Mapping[str, MethodStyle]
) -> list[float]:
    """One hyperparameter in natural units over training steps; returns its values."""
    values = _draw(axes, selection, PREFIX + name, styles)
    axis = hyperparameter_axis(name, values)
    apply_scale(axes, axis.scale, values)
    axes.set_ylabel(axis.label)
    return values


def hyperparameters(selection: Selection) -> list[str]:
    """Those that its runs have recorded, in their order."""
    columns = (column for run in selection.runs for column in run.metrics.columns)
    return [name.removeprefix(PREFIX) for name in dict.fromkeys(columns) if name.startswith(PREFIX)]


def _draw(
    axes: Axes,
    selection: Selection,
    column: str,
    styles: Mapping[str, MethodStyle],
    start: float = 0.0,
    scale: float = 1.0,
) -> list[float]:
    """All methods; returns the values from `start` on."""
    values = []
    for place, method in enumerate(selection.methods):
        curves = [curve(run.seed, run.metrics, column, scale) for run in selection.of(method)]
        offset = (place + 0.5) / len(selection.methods)
        draw_curves(axes, curves, styles[method], offset)
        values += [v for one in curves for v in one.values[one.steps >= start].tolist()]
    end = selection.steps
    axes.set(xlim=(0, end), xlabel="training step", xticks=[0, end / 2, end])
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value / 1000:g}k" if end >= 10_000 and value else f"{value:g}"
    )
    return values
