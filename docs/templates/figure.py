"""A template: every seed's final accuracy as a dot (glocal_exp/report/figures/<id>.py)."""

from collections.abc import Sequence
from dataclasses import dataclass

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.selection import select_all


@dataclass(frozen=True)
class FinalDots(Artifact):
    """One panel an experiment, one row a method; fields are the entries of the YAML file.

    Attributes:
        experiments: folders of stored runs.
    """

    experiments: Sequence[str]

    def draw(self, context: Context) -> Drawing:
        """The figure with its caption; `MissingRuns`, of `select_all`, if none is stored."""
        selections, missing = select_all(context, self.experiments)
        figure, panels = style.panels(1, len(selections), 1.8)
        for axes, selection in zip(panels.flat, selections.values(), strict=True):
            looks = style.method_styles(selection.methods)
            for place, method in enumerate(selection.methods):
                finals = list(selection.finals(method).values())
                axes.plot(finals, [place] * len(finals), "o", color=looks[method].colour)
            labels = [looks[method].label for method in selection.methods]
            axes.set_yticks(range(len(labels)), labels)
            axes.set_xlabel("test accuracy (%)")
            axes.set_title(selection.experiment)
        text = self.caption(*caption.paragraphs(selections.values(), context))
        return Drawing(figure, text, missing)
