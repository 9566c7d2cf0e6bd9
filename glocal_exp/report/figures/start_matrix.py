"""Test accuracy and learning rate from several starts of the optimizer, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Context, Drawing, MissingRuns
from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.figures.learning_curves import READING, draw_accuracy, draw_hyperparameter
from glocal_exp.report.selection import select

HEIGHT = 3.2  # inches


@dataclass(frozen=True)
class StartMatrix:
    """One column a start: test accuracy above one hyperparameter.

    Attributes:
        title: the caption's first sentence.
        columns: experiment -> the label of its column.
        hyperparameter: the one drawn below.
        methods: those that the comparison needs.
    """

    title: str
    columns: Mapping[str, str]
    hyperparameter: str = "learning_rate"
    methods: Sequence[str] = ("none", "local", "glocal")

    def draw(self, context: Context) -> Drawing:
        found = {name: select(context.runs, name, self.methods) for name in self.columns}
        selections = [one for one in found.values() if one is not None]
        if not selections:
            raise MissingRuns(list(self.columns))
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        panels = figure.subplots(2, len(self.columns), squeeze=False)
        methods = style.method_order(name for one in selections for name in one.methods)
        styles = style.method_styles(methods)
        accuracies: list[float] = []
        values: list[float] = []
        for (name, label), (upper, lower) in zip(self.columns.items(), panels.T, strict=True):
            upper.set_title(label)
            selection = found[name]
            if selection is None:
                for axes in (upper, lower):
                    axes.text(0.5, 0.5, "not run", ha="center", transform=axes.transAxes)
                    axes.set(xticks=[], yticks=[])
                continue
            accuracies += draw_accuracy(upper, selection, styles)
            values += draw_hyperparameter(lower, selection, self.hyperparameter, styles)
            upper.set_xlabel("")
        scale = hyperparameter_axis(self.hyperparameter, values).scale
        for column, name in enumerate(self.columns):
            if found[name] is not None:
                apply_scale(panels[0, column], "linear", accuracies)
                apply_scale(panels[1, column], scale, values)
        for axes in panels[:, 1:].flat:
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        diverged = any(run.diverged for one in selections for run in one.runs)
        style.method_legend(figure, methods, diverged)
        missing = [name for name, one in found.items() if one is None or one.incomplete]
        text = caption.join(self.title, READING, selections, context)
        return Drawing(figure, text, tuple(missing))
