"""Which derivative of the final loss an estimate of one interval follows, by sign and by size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
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
        looks: dict[str, Any] = {
            name: {"marker": marker, "colour": colour, "offset": offset}
            for name, (marker, colour, offset) in zip(self.moved, MARKERS, strict=False)
        }
        height = 1.1 + 2 * ROW * len(labels)
        figure, panels = style.panels(2, len(self.truths), height, sharey=True, sharex="row")
        for (upper, lower), (truth, title) in zip(panels.T, self.truths.items(), strict=True):
            upper.set_title(title)
            of_truth = chosen(scored, {"truth": truth})
            for name, look in looks.items():
                rows = chosen(of_truth, {"hyperparameter": name})
                for row, label in enumerate(labels):
                    one: Any = rows[rows["estimator"] == label]
                    _sign(upper, one["right"].dropna(), row, **look)
                    _size(lower, one["ratio"].dropna(), row, **look)
            _scale(upper, lower, labels)
        marks: dict[str, Any] = {
            name.replace("_", " "): {"linestyle": "", "marker": m, "color": c, "markersize": 4}
            for name, (m, c, _) in zip(self.moved, MARKERS, strict=False)
        }
        style.legend_of(figure, marks)
        settings = ", ".join(dict.fromkeys(point.setting for point in found))
        counts = scored.drop_duplicates(["point", "truth", "hyperparameter"])
        numbers = counts.groupby(["truth", "hyperparameter"]).size()
        listed = "; ".join(
            f"{t} {', '.join(f'{numbers.get((t, n), 0)} of {len(found)}' for n in self.moved)}"
            for t in self.truths
        )
        words = {"settings": settings, "points": len(found), "counted": listed}
        return Drawing(figure, self.caption(*notes, source, **words))


def _sign(axes: Axes, right: pd.Series, row: int, marker: str, colour: str, offset: float) -> None:
    """The share of points with the right sign, with Wilson's interval."""
    if right.empty:
        return
    share = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    place = row + offset
    axes.plot([100 * share.low, 100 * share.high], [place] * 2, color=colour, linewidth=0.8)
    axes.plot(100 * right.mean(), place, marker, color=colour, markersize=3.4)


def _size(axes: Axes, ratios: pd.Series, row: int, marker: str, colour: str, offset: float) -> None:
    """Its size by the derivative's: each point small, their median large."""
    if ratios.empty:
        return
    ratios, place = ratios.clip(*RATIOS), row + offset
    axes.plot(ratios, [place] * len(ratios), ".", color=colour, markersize=1.8, alpha=0.5)
    axes.plot(ratios.median(), place, marker, color=colour, markersize=3.4)


def _scale(upper: Axes, lower: Axes, labels: Sequence[str]) -> None:
    for axes in (upper, lower):
        style.label_rows(axes, labels)
    upper.axvline(50, color="#888888", linewidth=0.6)
    upper.set(xlim=(-3, 103), xticks=[0, 50, 100], xlabel="points with its sign (%)")
    lower.axvline(1, color="#888888", linewidth=0.6)
    lower.set(xscale="log", xlim=(RATIOS[0] / 1.3, RATIOS[1] * 1.3), xlabel="size over its size")
