"""Curves over training: one a seed, cut at divergence, and their mean where all seeds have it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from glocal_exp.report.style import MethodStyle


@dataclass(frozen=True)
class Curve:
    """One seed's values at the training steps where they were measured, before any divergence."""

    seed: int
    steps: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    diverged: bool


def curve(seed: int, metrics: pd.DataFrame, column: str, scale: float = 1.0) -> Curve:
    """Cut a run's column at the first diverged record; values not measured are left out."""
    lost = diverged_mask(metrics)
    kept = metrics.loc[~np.logical_or.accumulate(lost)] if len(metrics) else metrics
    if column not in kept:
        return Curve(seed, np.empty(0), np.empty(0), bool(lost.any()))
    values = kept[column].to_numpy(np.float64) * scale
    measured = np.isfinite(values)
    steps = kept["step"].to_numpy(np.float64)
    return Curve(seed, steps[measured], values[measured], bool(lost.any()))


def diverged_mask(metrics: pd.DataFrame) -> np.ndarray:
    """Which records have weights that are not finite."""
    if "diverged" not in metrics:
        return np.zeros(len(metrics), dtype=bool)
    return metrics["diverged"].fillna(False).to_numpy(bool)


def mean_curve(curves: Sequence[Curve]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Steps and means where every seed has a value: no mean over the survivors alone."""
    if not curves:
        return np.empty(0), np.empty(0)
    by_step = [pd.Series(one.values, index=one.steps) for one in curves]
    shared = pd.concat(by_step, axis=1, join="inner").sort_index()
    return shared.index.to_numpy(float), shared.to_numpy().mean(axis=1)


def draw_curves(axes: Axes, curves: Sequence[Curve], style: MethodStyle, offset: float) -> None:
    """Every seed thin, the mean bold, a cross where a seed diverged.

    Args:
        offset: where on the mean the first marker sits, as a share of the marker distance.
    """
    for one in curves:
        axes.plot(one.steps, one.values, color=style.colour, linewidth=0.45, alpha=0.75, zorder=2)
        if one.diverged and one.steps.size:
            axes.plot(
                one.steps[-1], one.values[-1], color=style.colour, marker="X", markersize=5,
                markeredgecolor="white", markeredgewidth=0.4, zorder=5, clip_on=False,
            )  # fmt: skip
    steps, means = mean_curve(curves)
    if steps.size:
        distance = max(1, steps.size // 5)
        axes.plot(
            steps, means, color=style.colour, linestyle=style.line, linewidth=1.2, zorder=3,
            marker=style.marker, markersize=2.8, markeredgewidth=0.6,
            markevery=(min(round(offset * distance), steps.size - 1), distance),
        )  # fmt: skip
