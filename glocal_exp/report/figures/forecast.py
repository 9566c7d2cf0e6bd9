"""Does Hankel DMD predict at all: the last h_t of stored intervals from those before them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing, MissingRuns
from glocal_exp.report.claims.trajectories import predictions
from glocal_exp.report.selection import Selection, select_all

HEIGHT, ROW = 2.3, 0.2  # inches: of the prediction's figure, of a row of the modes'
LOOKS: dict[str, dict[str, Any]] = {
    "dmd": {"color": style.VERMILLION, "marker": "o", "label": "Hankel DMD"},
    "dmd_all": {
        "color": style.ORANGE, "marker": "D", "linestyle": (0, (5, 1.2)),
        "label": "Hankel DMD, amplitudes from all",
    },
    "mean": {
        "color": style.PURPLE, "marker": "^", "linestyle": (0, (3, 1.2)), "label": "their mean",
    },
    "last": {
        "color": style.SKY, "marker": "s", "linestyle": (0, (1, 1.2)), "label": "the last of them",
    },
}  # fmt: skip

EDGE: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.4}
BAR: dict[str, Any] = {"height": 0.7, **EDGE}
SHADED = ("dmd", "last")
SHADES = (("white", "no steady mode"), ("#C9DCEC", "one"), ("#7FA8CB", "two"), ("#2F6690", "more"))
MARKS: dict[str, dict[str, Any]] = {
    "growing": {"color": style.VERMILLION, "marker": "^", "markersize": 4, "linestyle": ""},
    "oscillating": {"color": style.GREEN, "marker": "o", "markersize": 3.5, "linestyle": ""},
}


@dataclass(frozen=True)
class Forecast(Artifact):
    """Errors by steps ahead, and in how many intervals the last h_t is further away."""

    experiments: Sequence[str]  # whose runs of glocal count
    ahead: int = 10  # hypergradients at an interval's end that are predicted from those before them
    delays: int = 10  # m of the Hankel DMD

    def draw(self, context: Context) -> Drawing:
        selections, missing = select_all(context, self.experiments, where={"method": "glocal"})
        found = predictions(selections, self.ahead, self.delays)
        errors = {name: np.stack([each[name] for each in found]) for name in LOOKS}
        figure, ((left, right),) = style.panels(1, 2, HEIGHT)
        steps = np.arange(1, self.ahead + 1)
        handles = []
        for name, look in LOOKS.items():
            low, middle, high = np.quantile(errors[name], (0.25, 0.5, 0.75), axis=0)
            handles += left.plot(steps, middle, **look, markersize=3, linewidth=1.1)
            if name in SHADED:
                left.fill_between(steps, low, high, color=look["color"], alpha=0.2, linewidth=0)
            if name != "last":
                nearer = 100 * (errors[name] < errors["last"]).mean(axis=0)
                right.plot(steps, nearer, **look, markersize=3, linewidth=1.1)
        left.axhline(1, color="black", linewidth=0.7)
        left.set(ylim=(0, 2), ylabel=r"$|\hat h_t - h_t|\,/\,|h_t|$")
        right.axhline(50, color="black", linewidth=0.7)
        right.set(ylim=(0, 100), ylabel="nearer than the last $h$ (% of intervals)")
        for axes in (left, right):
            axes.set(xlabel="training steps ahead", xticks=steps[:: max(1, self.ahead // 5)])
        style.legend_above(figure, handles)
        first = 100 * (errors["dmd"][:, 0] < errors["last"][:, 0]).mean()
        sources = caption.paragraphs(selections.values(), context)
        text = self.caption(*sources, intervals=len(found), first=first)
        return Drawing(figure, text, missing)


@dataclass(frozen=True)
class ModeCounts(Artifact):
    """Shares of intervals by what DMD found in them: steady, growing and oscillating modes."""

    experiments: Mapping[str, str]  # whose runs of glocal count, and their labels

    def draw(self, context: Context) -> Drawing:
        selections, missing = select_all(context, self.experiments, where={"method": "glocal"})
        frames = {name: _counts(one) for name, one in selections.items()}
        counts = {name: frame for name, frame in frames.items() if len(frame)}
        if not counts:
            raise MissingRuns(*self.experiments)
        height = 0.95 + ROW * len(counts)
        figure, ((left, right),) = style.panels(1, 2, height, sharey=True, width_ratios=(1.4, 1))
        labels = []
        for row, (name, frame) in enumerate(counts.items()):
            steady = frame["diagnostic/steady_modes"].clip(upper=len(SHADES) - 1)
            shares = 100 * steady.value_counts(normalize=True).reindex(range(len(SHADES)))
            starts = shares.fillna(0).cumsum().shift(fill_value=0)
            for number, (shade, _) in enumerate(SHADES):
                left.barh(row, shares[number], left=starts[number], color=shade, **BAR)
            for kind, look in MARKS.items():
                share = 100 * (frame[f"diagnostic/{kind}_modes"] > 0).mean()
                right.plot(share, row, **look, clip_on=False)
            labels.append(f"{self.experiments[name]} ($n$ = {len(steady)})")
        style.label_rows(left, labels)
        left.set(xlim=(0, 100), xlabel="intervals (%)")
        right.set(xlim=(0, 100), xlabel="intervals that have some (%)")
        handles = [Patch(facecolor=shade, label=label, **EDGE) for shade, label in SHADES]
        handles += [Line2D([], [], **look, label=kind) for kind, look in MARKS.items()]
        style.legend_above(figure, handles, columnspacing=1.2, handlelength=1.4)
        text = self.caption(*caption.paragraphs(selections.values(), context))
        return Drawing(figure, text, missing)


def _counts(selection: Selection) -> pd.DataFrame:
    """Of each interval how many modes of each kind it has; empty where that was not recorded."""
    records: Any = pd.concat([run.metrics for run in selection.runs])
    names = [f"diagnostic/{kind}_modes" for kind in ("steady", *MARKS)]
    return records[records["outer_step"] > 0].reindex(columns=names).dropna()
