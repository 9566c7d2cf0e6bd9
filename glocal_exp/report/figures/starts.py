"""Runs from several learning rates: what a bad one costs, and what methods cost and gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.axes import apply_scale, cost_axis, tick_label
from glocal_exp.report.starts import NONE, Cell, Group, cells, gains, right_directions, sources

RECOVERY_HEIGHT, ROW_HEIGHT = 4.4, 2.3  # inches
APART = 1.08  # a mark's cost over that of its neighbour, where both are the same
LEAST = -2.0  # points: what gains less is drawn there, with its number
BROAD = 10.0  # points: intervals that are wider may reach out of a panel
BAND = (-8.0, 21.0)  # points that the lower panels hold; what is outside is at their border


@dataclass(frozen=True)
class FromStarts(Artifact):
    """What both are made from."""

    experiment: str
    groups: Mapping[str, Group]  # by meta optimizer, a row or column each


@dataclass(frozen=True)
class Recovery(FromStarts):
    """A column a meta optimizer: accuracy by start, and what is gained over no learning."""

    def draw(self, context: Context) -> Drawing:
        found = cells(context, self.experiment, self.groups)
        looks = style.method_styles(run.method for cell in found for run in cell.selection.runs)
        metas = list(dict.fromkeys(cell.meta_optimizer for cell in found))
        figure, panels = style.panels(2, len(metas), RECOVERY_HEIGHT, sharex=True, sharey="row")
        for (upper, lower), meta in zip(panels.T, metas, strict=True):
            own = [cell for cell in found if cell.meta_optimizer == meta]
            constant = _finals(own, NONE)
            for name, look in looks.items():
                finals = _finals(own, name)
                if finals.empty:
                    continue
                _line(upper, finals, look)
                if name != NONE:
                    _line(lower, finals - constant, look, BAND)
            upper.set_title(self.groups[meta].title)
            _scale(upper, lower, sorted({cell.start for cell in found}))
        panels[0, 0].set_ylabel("test accuracy (%)")
        panels[1, 0].set_ylabel("minus a constant's (points)")
        panels[1, 0].set_ylim(BAND)
        style.method_legend(figure, looks, diverged=False)
        return Drawing(figure, self.caption(*sources(found, context)))


def _finals(cells: Sequence[Cell], method: str) -> pd.DataFrame:
    """Percent by seed, a column a start."""
    return pd.DataFrame({cell.start: cell.selection.finals(method) for cell in cells})


def _line(
    axes: Axes,
    finals: pd.DataFrame,
    look: style.MethodStyle,
    band: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Means over seeds, joined, and each seed as a dot."""
    means: Any = finals.mean().dropna()
    axes.plot(
        means.index, means.clip(*band), color=look.colour, linestyle=look.line, marker=look.marker,
        linewidth=1.1, markersize=3.4,
    )  # fmt: skip
    for start in means.index:
        each = finals[start].dropna().clip(*band)
        axes.plot([start] * len(each), each, ".", color=look.colour, markersize=1.8, alpha=0.5)


def _scale(upper: Axes, lower: Axes, starts: Sequence[float]) -> None:
    lower.set_xscale("log")
    decades = [start for start in starts if np.isclose(np.log10(start) % 1, 0) or len(starts) < 6]
    lower.set_xticks(decades, [tick_label(start) for start in decades])
    lower.xaxis.set_minor_locator(NullLocator())
    lower.set_xlabel("initial learning rate")
    lower.axhline(0, color=style.BLACK, linewidth=0.7, linestyle=(0, (1, 2)))
    upper.set_ylim(top=93)


@dataclass(frozen=True)
class Pareto(FromStarts):
    """A column a measure, a row a meta optimizer; the first column is of estimates alone."""

    starts: Sequence[float]  # initial learning rates
    truth: str  # derivative that estimates are compared with

    def draw(self, context: Context) -> Drawing:
        found: Any
        found, of_cells = gains(context, self.experiment, self.groups, self.starts)
        looks, metas = style.method_styles(found["method"]), found["meta_optimizer"].unique()
        right: Any = right_directions(context, found["method"].unique(), self.truth)
        costs = found.groupby("method")["cost"].mean()
        known = right.assign(cost=right["method"].map(costs)).dropna(subset=["cost"])
        rows, columns = max(2, len(metas)), 3 if len(known) else 2
        figure, panels = style.panels(rows, columns, ROW_HEIGHT * rows, sharex=True)
        if len(known):
            draw_directions(tuple(panels[:2, 0]), known, looks)
        limits, top = _limits(found), 105 * max(1.0, found["reach"].max())
        for (*_, gain, reach), meta in zip(panels, metas, strict=False):
            title = self.groups[meta].title
            own = found[found["meta_optimizer"] == meta].sort_values("cost")
            draw_gains(gain, own, looks)
            gain.set(ylabel="accuracy gained (points)", title=title, ylim=limits)
            _marks(reach, own.assign(value=100 * own["reach"]), looks)
            reach.set(ylabel="training to a constant's end (%)", title=title, ylim=(0, top))
        for column in panels.T:
            used = [axes for axes in column if axes.has_data()]
            for axes in set(column) - set(used):
                axes.remove()
            used[-1].tick_params(labelbottom=True)
            cost_axis(used[-1], found["cost"].max())
            used[-1].set_xlim(0.75, 1.3 * found["cost"].max())
        style.method_legend(figure, found["method"].unique(), diverged=False)
        words = {"starts": ", ".join(f"{start:g}" for start in self.starts)}
        words |= {"runs": int(found["runs"].max()), "points": max(right["points"], default=0)}
        return Drawing(figure, self.caption(*sources(of_cells, context), **words))


def _limits(found: pd.DataFrame) -> tuple[float, float]:
    """Of gains: what is below `LEAST` is drawn there; broad intervals do not count."""
    narrow = (found["gain"] >= LEAST) & (found["high"] - found["low"] < BROAD)
    inside = found.loc[narrow, ["low", "high"]].to_numpy().clip(min=LEAST)
    ends = [0.0, *inside.ravel(), *found["gain"].clip(lower=LEAST)]
    room = 0.08 * (max(ends) - min(ends))
    return min(ends) - room, max(ends) + room


def draw_gains(axes: Axes, rows: pd.DataFrame, looks: Mapping[str, style.MethodStyle]) -> None:
    """By cost, with the front, and a number where it is below the axis."""
    shown: Any = rows["gain"].clip(lower=LEAST)
    _marks(axes, rows.assign(value=shown), looks)
    below: pd.DataFrame = rows.loc[rows["gain"] < LEAST]
    for row, one in enumerate(below.to_dict("records")):
        colour = looks[one["method"]].colour
        axes.annotate(
            f"\N{MINUS SIGN}{-one['gain']:.1f}", (one["cost"], LEAST), (2, 5 + 7 * row),
            textcoords="offset points", fontsize=6, color=colour,
        )  # fmt: skip
    lines: dict[str, Any] = {"color": "#888888", "linewidth": 0.7}
    axes.step(rows["cost"][rows["front"]], shown[rows["front"]], where="post", **lines)
    axes.axhline(0, **lines)


def draw_directions(
    panels: Sequence[Axes], known: pd.DataFrame, looks: Mapping[str, style.MethodStyle]
) -> None:
    """By cost how often an estimate has the derivative's sign, and how large it is beside it."""
    for axes, values, label, chance in (
        (panels[0], 100 * known["right"], "points with the sign (%)", 50),
        (panels[1], known["ratio"], "size over its size", 1),
    ):
        _marks(axes, known.assign(value=values), looks)
        axes.set_ylabel(label)
        axes.axhline(chance, color="#888888", linewidth=0.6)
    apply_scale(panels[1], "log", [*known["ratio"], 0.5, 2.0])


def _marks(axes: Axes, rows: pd.DataFrame, looks: Mapping[str, style.MethodStyle]) -> None:
    """A mark a method, with its interval if it has one."""
    alike: Any = rows["cost"].round(1)  # of equal cost they stand side by side
    place = rows.groupby(alike).cumcount() - (alike.map(alike.value_counts()) - 1) / 2
    for row in rows.assign(cost=rows["cost"] * APART**place).to_dict("records"):
        look, place = looks[row["method"]], row["cost"]
        if "low" in row and pd.notna(row["low"]) and row["value"] == row["gain"]:
            axes.plot([place] * 2, [row["low"], row["high"]], color=look.colour, linewidth=0.8)
        axes.plot(place, row["value"], look.marker, color=look.colour, markersize=4)
