"""Which derivative of the final loss an estimate of one interval follows, by sign and by size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binomtest

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.estimators import estimators, settings_of
from glocal_exp.report.study_rows import chosen
from glocal_exp.report.truth_points import points, scores

ROW = 0.19  # inches
OFFSETS = (-0.17, 0.17)
RATIOS = (0.02, 50.0)  # that the lower axes hold; what is outside is at their border


@dataclass(frozen=True)
class TruthsFigure(Artifact):
    """A column a derivative; above, how often its sign is met, below, the factor to its size."""

    estimators: Sequence[str]  # files of configs/estimator, in rows
    truths: Mapping[str, str]  # derivative -> the title of its column
    moved: Sequence[str]  # the hyperparameters, at most two

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        compared, notes = estimators(context.configs, found, self.estimators)
        scored = scores(found, compared)
        labels = [one.label for one in compared]
        looks = dict(zip(self.moved, style.MARKS, strict=False))
        with_size = scored.dropna(subset=["ratio"])["estimator"].unique()
        sized = [label for label in labels if label in with_size]
        rows = (len(labels), max(1, len(sized)))  # a fixed direction has no size
        height, shares = 1.1 + ROW * sum(rows), {"sharey": "row", "sharex": "row"}
        figure, panels = style.panels(2, len(self.truths), height, height_ratios=rows, **shares)
        for (upper, lower), (truth, title) in zip(panels.T, self.truths.items(), strict=True):
            upper.set_title(title)
            of_truth = chosen(scored, {"truth": truth})
            for (name, look), offset in zip(looks.items(), OFFSETS, strict=False):
                rows_of = chosen(of_truth, {"hyperparameter": name})
                for draw, axes, column, named in (
                    (_sign, upper, "right", labels),
                    (_size, lower, "ratio", sized),
                ):
                    for row, label in enumerate(named):
                        values: Any = rows_of.loc[rows_of["estimator"] == label, column]
                        draw(axes, values.dropna(), row + offset, look)
            _scale(upper, lower, labels, sized)
        mark = {"linestyle": "", "markersize": 4}
        style.legend_of(figure, {n.replace("_", " "): mark | look for n, look in looks.items()})
        counts = scored.drop_duplicates(["point", "truth", "hyperparameter"])
        numbers = counts.groupby(["truth", "hyperparameter"]).size()
        listed = "; ".join(
            f"{t} {', '.join(f'{numbers.get((t, n), 0)} of {len(found)}' for n in self.moved)}"
            for t in self.truths
        )
        words = {"settings": settings_of(found), "points": len(found), "counted": listed}
        return Drawing(figure, self.caption(*notes, source, **words))


def _sign(axes: Axes, right: pd.Series, place: float, look: Mapping[str, Any]) -> None:
    """The share of points with the right sign, with Wilson's interval."""
    if right.empty:
        return
    share = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    axes.plot([100 * share.low, 100 * share.high], [place] * 2, color=look["color"], linewidth=0.8)
    axes.plot(100 * right.mean(), place, linestyle="", **look, markersize=3.4)


def _size(axes: Axes, ratios: pd.Series, place: float, look: Mapping[str, Any]) -> None:
    """Its size by the derivative's: each point small, their median large."""
    if ratios.empty:
        return
    ratios = ratios.clip(*RATIOS)
    axes.plot(ratios, [place] * len(ratios), ".", color=look["color"], markersize=1.8, alpha=0.5)
    axes.plot(ratios.median(), place, linestyle="", **look, markersize=3.4)


def _scale(upper: Axes, lower: Axes, labels: Sequence[str], sized: Sequence[str]) -> None:
    style.label_rows(upper, labels)
    style.label_rows(lower, sized)
    upper.axvline(50, color="#888888", linewidth=0.6)
    upper.set(xlim=(-3, 103), xticks=[0, 50, 100], xlabel="points with its sign (%)")
    lower.axvline(1, color="#888888", linewidth=0.6)
    lower.set(xscale="log", xlim=(RATIOS[0] / 1.3, RATIOS[1] * 1.3), xlabel="size over its size")
