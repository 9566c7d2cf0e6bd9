"""Curves over training: one a seed, cut at divergence, and their mean where all seeds have it."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from glocal_exp.report.style import MethodStyle


def curve(metrics: pd.DataFrame, column: str) -> pd.Series:
    """A column by training step up to the first diverged record, as far as it was measured."""
    kept = metrics[~metrics["diverged"].cummax()].set_index("step")
    return kept.get(column, pd.Series(dtype=float)).dropna()


def mean_curve(curves: Sequence[pd.Series]) -> pd.Series:
    """The mean where every seed has a value: none over the survivors alone."""
    return pd.concat(curves, axis=1, join="inner").sort_index().mean(axis=1)


def draw_curves(
    axes: Axes,
    curves: Sequence[pd.Series],
    diverged: Sequence[bool],
    style: MethodStyle,
    offset: float,
) -> None:
    """Every seed thin, the mean bold, a cross where a seed diverged.

    Args:
        offset: where on the mean the first marker sits, as a share of the marker distance.
    """
    colour = style.colour
    for one, lost in zip(curves, diverged, strict=True):
        axes.plot(one.index, one, color=colour, linewidth=0.45, alpha=0.75, zorder=2)
        if lost:
            axes.plot(
                one.index[-1:], one.iloc[-1:], color=colour, marker="X", markersize=5,
                markeredgecolor="white", markeredgewidth=0.4, zorder=5, clip_on=False,
            )  # fmt: skip
    mean = mean_curve(curves)
    distance = max(1, len(mean) // 5)
    axes.plot(
        mean.index, mean, color=colour, linestyle=style.line, linewidth=1.2, zorder=3,
        marker=style.marker, markersize=2.8, markeredgewidth=0.6,
        markevery=(min(round(offset * distance), max(0, len(mean) - 1)), distance),
    )  # fmt: skip
