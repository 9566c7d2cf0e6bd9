"""Which derivative of the final loss an estimate of one interval follows, by sign and by size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.stats import binomtest

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.estimators import estimators
from glocal_exp.report.study_rows import chosen
from glocal_exp.report.truth_points import points, scores

ROW = 0.19  # inches
MARKERS = (("o", style.BLUE, -0.17), ("s", style.VERMILLION, 0.17))
RATIOS = (0.02, 50.0)  # that the lower axes hold; what is outside is at their border


@dataclass(frozen=True)
class TruthsFigure(Artifact):
    """A column a derivative; above, how often its sign is met, below, by what factor its size is.

    Attributes:
        estimators: files of configs/estimator, in rows.
        truths: derivative -> the title of its column.
        moved: the hyperparameters, at most two.
    """

    estimators: Sequence[str]
    truths: Mapping[str, str]
    moved: Sequence[str]

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        compared, notes = estimators(context.configs, found, self.estimators)
        scored = scores(found, compared)
        labels = [one.label for one in compared]
        height = 1.1 + 2 * ROW * len(labels)
        figure, panels = style.panels(2, len(self.truths), height, sharey=True, sharex="row")
        for (upper, lower), (truth, title) in zip(panels.T, self.truths.items(), strict=True):
            upper.set_title(title)
            of_truth = chosen(scored, {"truth": truth})
            for name, (marker, colour, offset) in zip(self.moved, MARKERS, strict=False):
                rows = chosen(of_truth, {"hyperparameter": name})
                _signs(upper, rows, labels, marker, colour, offset)
                _sizes(lower, rows, labels, marker, colour, offset)
            _scale(upper, lower, labels)
        handles = [
            Line2D(
                [], [], linestyle="", marker=m, color=c, markersize=4, label=name.replace("_", " ")
            )
            for name, (m, c, _) in zip(self.moved, MARKERS, strict=False)
        ]
        style.legend_above(figure, handles)
        settings = ", ".join(dict.fromkeys(point.setting for point in found))
        counts = scored.drop_duplicates(["point", "truth", "hyperparameter"])
        numbers = counts.groupby(["truth", "hyperparameter"]).size()
        listed = "; ".join(
            f"{t} {', '.join(f'{numbers.get((t, n), 0)} of {len(found)}' for n in self.moved)}"
            for t in self.truths
        )
        words = {"settings": settings, "points": len(found), "counted": listed}
        return Drawing(figure, self.caption(*notes, source, **words))


def _signs(
    axes: Axes, rows: pd.DataFrame, labels: Sequence[str], marker: str, colour: str, offset: float
) -> None:
    """The share of points with the right sign, with Wilson's interval."""
    for row, label in enumerate(labels):
        right = rows.loc[rows["estimator"] == label, "right"].dropna()
        if right.empty:
            continue
        share = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        place = row + offset
        axes.plot([100 * share.low, 100 * share.high], [place] * 2, color=colour, linewidth=0.8)
        axes.plot(100 * right.mean(), place, marker, color=colour, markersize=3.4)


def _sizes(
    axes: Axes, rows: pd.DataFrame, labels: Sequence[str], marker: str, colour: str, offset: float
) -> None:
    """Its size by the derivative's: each point small, their median large."""
    for row, label in enumerate(labels):
        ratios = rows.loc[rows["estimator"] == label, "ratio"].dropna().clip(*RATIOS)
        if ratios.empty:
            continue
        place = [row + offset] * len(ratios)
        axes.plot(ratios, place, ".", color=colour, markersize=1.8, alpha=0.5)
        axes.plot(ratios.median(), place[0], marker, color=colour, markersize=3.4)


def _scale(upper: Axes, lower: Axes, labels: Sequence[str]) -> None:
    for axes in (upper, lower):
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
    upper.axvline(50, color="#888888", linewidth=0.6)
    upper.set(xlim=(-3, 103), xticks=[0, 50, 100], xlabel="points with its sign (%)")
    lower.axvline(1, color="#888888", linewidth=0.6)
    lower.set(xscale="log", xlim=(RATIOS[0] / 1.3, RATIOS[1] * 1.3), xlabel="size over its size")
