"""Long-tailed data by way of weighing the examples: accuracy of each class, learned weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from glocal_exp.errors import UserError
from glocal_exp.report import caption, labelled, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.selection import Selection

BARS_HEIGHT, CURVES_HEIGHT = 2.2, 2.0  # inches
GROUPS = 10  # so many groups of bars: with more classes, neighbours in size share one
FILLS: tuple[dict[str, Any], ...] = (
    {"facecolor": style.BLACK},
    {"facecolor": "white", "edgecolor": style.BLACK, "hatch": "....", "linewidth": 0.5},
    {"facecolor": style.ORANGE, "edgecolor": "white", "hatch": "\\\\\\\\", "linewidth": 0.0},
    {"facecolor": style.SKY},
    {"facecolor": "white", "edgecolor": style.BLUE, "hatch": "----", "linewidth": 0.5},
    {"facecolor": style.VERMILLION, "edgecolor": "white", "hatch": "////", "linewidth": 0.0},
)
EACH = "each class"
SHARED = "the classes, of which those of similar size share a bar with their mean,"
WEIGHT = "weight_at_"
TIMES: tuple[tuple[float, str, dict[str, Any]], ...] = (
    # wide: the next one may lie on it
    (0.0, "at the start", {"color": "#BDBDBD", "linestyle": "-", "linewidth": 3.0}),
    (1 / 3, "after 33% of training", {"color": "#6BAED6", "linestyle": "-.", "linewidth": 1.2}),
    (2 / 3, "after 67% of training", {"color": style.BLUE, "linestyle": "--", "linewidth": 1.2}),
    (1.0, "at the end", {"color": style.BLACK, "linestyle": "-", "linewidth": 1.2}),
)
"""Shares of training at which the curve is drawn."""


@dataclass(frozen=True)
class OfKinds(Artifact):
    """What both are made from."""

    kinds: Sequence[Mapping[str, Any]]  # as in `report.labelled.conditions`
    where: Mapping[str, Any] = field(default_factory=dict)  # further conditions on all of them


class ClassAccuracy(OfKinds):
    """A group of bars a class, a bar a kind of run."""

    def draw(self, context: Context) -> Drawing:
        stored, missing = labelled.stored(context, self.kinds, self.where)
        sizes = _sizes(next(iter(stored.values())))
        groups = np.array_split(np.argsort(-sizes, kind="stable"), min(GROUPS, len(sizes)))
        figure, ((axes,),) = style.panels(1, 1, BARS_HEIGHT)
        width = 0.8 / len(stored)
        labels = [entry["label"] for entry in self.kinds]
        for place, (label, selection) in enumerate(stored.items()):
            x = np.arange(len(groups)) + (place - (len(stored) - 1) / 2) * width
            seeds = _by_group(selection, groups)
            fill = FILLS[labels.index(label) % len(FILLS)]
            axes.bar(x, np.nanmean(seeds, axis=0), width * 0.92, label=label, **fill)
            axes.plot(x, seeds.T, ".", color="#555555", markersize=1.8)
        axes.set_xticks(range(len(groups)), [_images(sizes[group]) for group in groups])
        axes.set(xlabel="training images of the class", ylabel="test accuracy (%)", ylim=(0, 100))
        axes.grid(visible=False, axis="x")
        bars, _ = axes.get_legend_handles_labels()
        style.legend_above(figure, bars, title=caption.copied(stored.values()))
        what = EACH if len(groups) == len(sizes) else SHARED
        text = self.caption(*caption.paragraphs(stored, context), what=what)
        return Drawing(figure, text, missing)


def _sizes(selection: Selection) -> np.ndarray:
    counts = selection.runs[0].data.get("class_counts")
    if not counts:
        raise UserError(
            f"{selection.runs[0].stored.path} does not say how many images each class has; run it "
            "again."
        )
    return np.asarray(counts["train"])


def _by_group(selection: Selection, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Percent, (seeds, groups): the mean over the classes of a group."""
    accuracy = [
        [selection.finals(column=f"test_class_accuracy/{c}") for c in group] for group in groups
    ]
    return np.array([
        [np.mean([one.get(seed, np.nan) for one in group]) for group in accuracy]
        for seed in sorted(selection.finals())
    ])  # fmt: skip


def _images(sizes: np.ndarray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return f"{low:,}" if low == high else f"{high:,} to {low:,}"


class WeightCurve(OfKinds):
    """One panel a kind of run."""

    def draw(self, context: Context) -> Drawing:
        stored, missing = labelled.stored(context, self.kinds, self.where)
        figure, (panels,) = style.panels(1, len(stored), CURVES_HEIGHT, sharey=True)
        for axes, (label, selection) in zip(panels, stored.items(), strict=True):
            axes.set_title(label)
            _panel(axes, selection)
        panels[0].set_ylabel("weight")
        looks = {label: look for _, label, look in TIMES}
        style.legend_of(figure, looks, title=caption.copied(stored.values()))
        return Drawing(figure, self.caption(*caption.paragraphs(stored, context)), missing)


def _panel(axes: Axes, selection: Selection) -> None:
    names = [name for name in selection.hyperparameters if name.startswith(WEIGHT)]
    if not names:
        raise UserError(
            f"{selection.runs[0].stored.path} has recorded no weights; run it again with losses in "
            "task.shown_losses."
        )
    losses = {float(name.removeprefix(WEIGHT)): f"hyperparameter/{name}" for name in names}
    x = sorted(losses)
    for share, _, look in TIMES:
        frames = [run.metrics[[losses[loss] for loss in x]] for run in selection.runs]
        curves = [one.iloc[round(share * (len(one) - 1))].to_numpy(float) for one in frames]
        for curve in curves:
            axes.plot(x, curve, color=look["color"], linewidth=0.45, alpha=0.75)
        axes.plot(x, np.mean(curves, axis=0), **look, marker=".", markersize=2.5)
    axes.set(xlabel="loss L of the example", ylim=(-0.03, 1.03))
