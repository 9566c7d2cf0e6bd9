"""Which hypergradient to follow, with which meta optimizer, and what it costs: one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.pareto import gains, right_directions

HEIGHT = 4.6  # inches
TICKS = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Pareto(Artifact):
    """A column a measure, a row a meta optimizer; the first column is of estimates alone.

    Attributes:
        experiment: whose runs, from several starts.
        meta_optimizers: id -> the title of its row.
        methods: those that are drawn; files of configs/estimator have some of their names.
        starts: initial learning rates.
        truth: derivative that estimates are compared with.
    """

    experiment: str
    meta_optimizers: Mapping[str, str]
    methods: Sequence[str]
    starts: Sequence[float]
    truth: str

    def draw(self, context: Context) -> Drawing:
        about = self.experiment, self.meta_optimizers, self.methods, self.starts
        found: Any
        found, of_cells = gains(context, *about)
        looks = style.method_styles(self.methods)
        right: Any = right_directions(context, self.methods, self.truth)
        costs = found.groupby("method")["cost"].mean()
        figure, panels = style.panels(2, 3, HEIGHT, sharex=True)
        for axes, column, label in zip(
            panels[:, 0], ("right", "ratio"), ("points with the sign (%)", "size over its size"),
            strict=True,
        ):  # fmt: skip
            rows = right.assign(cost=right["method"].map(costs)).dropna(subset=["cost"])
            values = 100 * rows[column] if column == "right" else rows[column]
            _marks(axes, rows.assign(value=values), looks)
            axes.set_ylabel(label)
        panels[0, 0].axhline(50, color="#888888", linewidth=0.6)
        panels[1, 0].axhline(1, color="#888888", linewidth=0.6)
        panels[1, 0].set_yscale("log")
        for row, (meta, title) in zip(panels, self.meta_optimizers.items(), strict=False):
            own = found[found["meta_optimizer"] == meta].sort_values("cost")
            _marks(row[1], own.assign(value=own["gain"]), looks)
            front = own[own["front"]]
            row[1].step(front["cost"], front["gain"], where="post", color="#888888", linewidth=0.7)
            row[1].axhline(0, color="#888888", linewidth=0.6)
            row[1].set(ylabel="accuracy gained (points)", title=title)
            _marks(row[2], own.assign(value=100 * own["reach"]), looks)
            row[2].set(ylabel="training to a constant's end (%)", title=title, ylim=(0, 105))
        for axes in panels[1]:
            axes.set(xlabel="cost (plain trainings)", xscale="log", xlim=(0.85, 60))
            axes.set_xticks(TICKS, map(str, TICKS))
            axes.xaxis.set_minor_formatter(NullFormatter())
        style.method_legend(figure, self.methods, diverged=False)
        words = {"starts": ", ".join(f"{start:g}" for start in self.starts)}
        words |= {"runs": int(found["runs"].max()), "points": max(right["points"], default=0)}
        source = caption.describe(of_cells[0].selection, context)
        return Drawing(figure, self.caption(source, **words))


def _marks(axes: Axes, rows: pd.DataFrame, looks: Mapping[str, style.MethodStyle]) -> None:
    """A mark a method, with its interval if it has one."""
    for row in rows.to_dict("records"):
        look, place = looks[row["method"]], row["cost"]
        if "low" in row and pd.notna(row["low"]) and row["value"] == row["gain"]:
            axes.plot([place] * 2, [row["low"], row["high"]], color=look.colour, linewidth=0.8)
        axes.plot(place, row["value"], look.marker, color=look.colour, markersize=4)
