"""Test accuracy and learning rate from several starts of the optimizer, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.axes import apply_scale, hyperparameter_axis
from glocal_exp.report.selection import select_all
from glocal_exp.report.training import READING, draw_accuracy, draw_hyperparameter

HEIGHT = 3.2  # inches


@dataclass(frozen=True)
class StartMatrix(Artifact):
    """One column a start: test accuracy above one hyperparameter.

    Attributes:
        columns: experiment -> the label of its column.
        hyperparameter: the one drawn below.
        methods: those that the comparison needs.
    """

    columns: Mapping[str, str]
    hyperparameter: str = "learning_rate"
    methods: Sequence[str] = ("none", "local", "glocal")
    reading: str = field(default=READING, kw_only=True)

    def draw(self, context: Context) -> Drawing:
        found, missing = select_all(context, self.columns, self.methods)
        styles = style.method_styles(name for one in found.values() for name in one.methods)
        figure, panels = style.panels(2, len(self.columns), HEIGHT)
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
        diverged = any(run.diverged for one in found.values() for run in one.runs)
        style.method_legend(figure, styles, diverged)
        text = self.caption(*caption.paragraphs(found.values(), context))
        return Drawing(figure, text, missing)
