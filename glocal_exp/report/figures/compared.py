"""Any stored runs against each other: columns of their records over training, or how they ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glocal_exp.errors import UserError
from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.comparison import Comparison, compare
from glocal_exp.report.figures.learning_curves import Styles, draw_column
from glocal_exp.store import find_runs

MOST = len(style.STYLES) + len(style.SPARE)  # kinds of runs that can be told apart in a picture
ACROSS = 4
ROW_HEIGHT, LEGEND_HEIGHT = 1.55, 0.16  # inches: of a row of panels, of a line of the legend
OVER_TRAINING = "Over training: thin lines are seeds, bold ones their mean where all have a value."
AT_THE_END = (
    "At the end: a point is the last value of a run, a line joins the means over the seeds."
)


@dataclass(frozen=True)
class ExperimentCurves:
    """The runs of an experiment that no figure shows, all variants: a metric, hyperparameters."""

    experiment: str

    def draw(self, context: Context) -> Drawing:
        compared = compare(find_runs(context.runs, {"experiment": self.experiment}))
        tuned = [name for name in compared.columns if name.startswith("hyperparameter/")]
        return draw_curves(compared, [*compared.headline(), *tuned])


def draw_curves(compared: Comparison, columns: Sequence[str]) -> Drawing:
    """A panel a column over training steps, and in it a look for each kind of run.

    Raises:
        UserError: there are more than `MOST` kinds, or no run has a record.
    """
    selection = compared.selection()
    styles = _styles(selection.methods)
    figure, panels = _panels(len(columns), len(styles))
    for axes, column in zip(panels, columns, strict=True):
        draw_column(axes, selection, column, styles)
    style.method_legend(figure, styles, selection.diverged)
    return Drawing(figure, _caption(compared, OVER_TRAINING))


def draw_ends(compared: Comparison, columns: Sequence[str], against: str) -> Drawing:
    """A panel a column, whose last values are drawn over a setting or another column's.

    Raises:
        UserError: there are more than `MOST` kinds, or `against` is of no run, or not a number.
    """
    points: Any = compared.ends(columns, against)
    styles = _styles(list(points["label"]))
    figure, panels = _panels(len(columns), len(styles))
    across = hyperparameter_axis(against.rpartition(".")[2], list(points[against]))
    for axes, column in zip(panels, columns, strict=True):
        for name, look in styles.items():
            _draw_ends(axes, points[points["label"] == name].dropna(), against, column, look)
        values = list(points[column].dropna())
        axis = hyperparameter_axis(column.removeprefix("hyperparameter/"), values)
        apply_scale(axes, axis.scale, values)
        axes.set(xlabel=across.label, ylabel=axis.label, xscale=across.scale)
    style.method_legend(figure, styles, diverged=False)
    return Drawing(figure, _caption(compared, AT_THE_END))


def _draw_ends(axes: Axes, points: pd.DataFrame, x: str, y: str, look: style.MethodStyle) -> None:
    axes.plot(points[x], points[y], look.marker, color=look.colour, markersize=3, alpha=0.6)
    means: Any = points.groupby(x)[y].mean()
    if len(means) < len(points):  # some share their place, as seeds do that of a setting
        axes.plot(means.index, means, color=look.colour, linestyle=look.line, linewidth=1.2)


def _styles(labels: Sequence[str]) -> Styles:
    kinds = len(set(labels))
    if kinds > MOST:
        raise UserError(
            f"{kinds} kinds of runs are more than the {MOST} that a picture can tell apart; choose "
            "some by KEY=VALUE."
        )
    return style.method_styles(labels)


def _panels(count: int, kinds: int) -> tuple[Figure, list[Axes]]:
    rows, across = -(-count // ACROSS), min(count, ACROSS)
    figure, grid = style.panels(rows, across, ROW_HEIGHT * rows + LEGEND_HEIGHT * (1 + kinds / 2))
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    return figure, list(grid.flat[:count])


def heading(compared: Comparison) -> str:
    """What runs are shown."""
    return f"Runs that differ in {', '.join(compared.keys) or 'nothing but the seed'}"


def paragraphs(compared: Comparison) -> list[str]:
    """One an experiment, and what is left out."""
    parts = [compared.selection(name) for name in compared.experiments]
    paper = Context(Path())  # whose sizes are no measure here
    return [*caption.paragraphs(parts, paper), *compared.notes]


def _caption(compared: Comparison, reading: str) -> str:
    """What differs, how to read it, and where it is from."""
    return "\n\n".join([f"{heading(compared)}. {reading}", *paragraphs(compared)]) + "\n"
