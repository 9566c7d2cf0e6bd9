"""Figs. 2, 3 and C.1 to C.4: test accuracy and every hyperparameter over training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.selection import select_all
from glocal_exp.report.training import READING, draw_accuracy, draw_hyperparameter, hyperparameters

ROW_HEIGHT, LEGEND_HEIGHT = 1.55, 0.3  # inches


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
    reading: str = field(default=READING, kw_only=True)

    def draw(self, context: Context) -> Drawing:
        found, missing = select_all(context, self.rows, self.methods, self.where)
        styles = style.method_styles(name for one in found.values() for name in one.methods)
        names = {experiment: hyperparameters(one) for experiment, one in found.items()}
        height = ROW_HEIGHT * len(found) + LEGEND_HEIGHT
        columns = 1 + max(map(len, names.values()))
        figure, panels = style.panels(len(found), columns, height)
        for row, (experiment, selection) in zip(panels, found.items(), strict=True):
            draw_accuracy(row[0], selection, styles)
            for axes, name in zip(row[1:], names[experiment], strict=False):
                draw_hyperparameter(axes, selection, name, styles)
            for axes in row[1 + len(names[experiment]) :]:
                axes.set_visible(False)
            label = caption.marked(self.rows[experiment], selection.runs)
            if len(self.rows) > 1 or label != self.rows[experiment]:
                row[0].set_title(label, loc="left", fontweight="bold")
        diverged = any(run.diverged for one in found.values() for run in one.runs)
        style.method_legend(figure, styles, diverged)
        text = self.caption(*caption.paragraphs(found.values(), context))
        return Drawing(figure, text, missing)
