"""Accuracy of each class where classes differ in size, by way of weighing the examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.report import caption, labelled, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.selection import Selection

HEIGHT = 2.2  # inches
GROUPS = 10
"""So many groups of bars: with more classes, neighbours in size share one."""
FILLS: tuple[dict[str, Any], ...] = (
    {"facecolor": style.BLACK},
    {"facecolor": "white", "edgecolor": style.BLACK, "hatch": "....", "linewidth": 0.5},
    {"facecolor": style.ORANGE, "edgecolor": "white", "hatch": "\\\\\\\\", "linewidth": 0.0},
    {"facecolor": style.SKY},
    {"facecolor": "white", "edgecolor": style.BLUE, "hatch": "----", "linewidth": 0.5},
    {"facecolor": style.VERMILLION, "edgecolor": "white", "hatch": "////", "linewidth": 0.0},
)
EACH, SHARED = (
    "each class",
    "the classes, of which those of similar size share a bar with their mean,",
)


@dataclass(frozen=True)
class ClassAccuracy(Artifact):
    """A group of bars a class, a bar a kind of run.

    Attributes:
        kinds: entries of `report.labelled.Labelled`.
        where: further conditions on all of them.
    """

    kinds: Sequence[Mapping[str, Any]]
    where: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, context: Context) -> Drawing:
        stored, missing = labelled.stored(context, self.kinds, self.where)
        sizes = _sizes(next(iter(stored.values())))
        groups = np.array_split(np.argsort(-sizes, kind="stable"), min(GROUPS, len(sizes)))
        figure, ((axes,),) = style.panels(1, 1, HEIGHT)
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
        runs = [run for selection in stored.values() for run in selection.runs]
        bars, _ = axes.get_legend_handles_labels()
        style.legend_above(figure, bars, title=caption.copied(runs))
        what = EACH if len(groups) == len(sizes) else SHARED
        return Drawing(
            figure, self.caption(*caption.paragraphs(stored, context), what=what), missing
        )


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
