"""Accuracy of each class where classes differ in size, by way of weighing the examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from glocal_exp.errors import UserError
from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.caption import copied
from glocal_exp.report.labelled import Kinds, labelled
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
READING = (
    "Test accuracy of {what} after the last training step, classes in the order of their "
    "training images (numbers below). Bars are means over seeds, dots the seeds."
)
EACH, SHARED = (
    "each class",
    "the classes, of which those of similar size share a bar with their mean,",
)


@dataclass(frozen=True)
class ClassAccuracy(Kinds):
    """A group of bars a class, a bar a kind of run."""

    def draw(self, context: Context) -> Drawing:
        stored, missing = self.stored(context)
        sizes = _sizes(next(iter(stored.values())))
        groups = np.array_split(np.argsort(-sizes, kind="stable"), min(GROUPS, len(sizes)))
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        axes = figure.subplots()
        width = 0.8 / len(stored)
        labels = [entry.label for entry in labelled(self.kinds)]
        for place, (label, selection) in enumerate(stored.items()):
            x = np.arange(len(groups)) + (place - (len(stored) - 1) / 2) * width
            seeds = _by_group(selection, groups)
            fill = FILLS[labels.index(label) % len(FILLS)]
            axes.bar(x, np.nanmean(seeds, axis=0), width * 0.92, label=label, **fill)
            for values in seeds:
                axes.plot(x, values, ".", color="#555555", markersize=1.8)
        axes.set_xticks(range(len(groups)), [_images(sizes[group]) for group in groups])
        axes.set_xlabel("training images of the class")
        axes.set_ylabel("test accuracy (%)")
        axes.set_ylim(0, 100)
        axes.grid(visible=False, axis="x")
        shown = (run for selection in stored.values() for run in selection.runs)
        figure.legend(loc="outside upper center", ncols=len(stored), title=copied(shown))
        reading = READING.format(what=EACH if len(groups) == len(sizes) else SHARED)
        text = caption.join(self.title, reading, stored, context)
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
    classes = {c for group in groups for c in group.tolist()}
    accuracy = {c: selection.finals(column=f"test_class_accuracy/{c}") for c in classes}
    seeds = sorted(selection.finals())
    nothing = float("nan")
    return np.array(
        [
            [np.mean([accuracy[c].get(seed, nothing) for c in group.tolist()]) for group in groups]
            for seed in seeds
        ]
    )


def _images(sizes: np.ndarray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return f"{low:,}" if low == high else f"{high:,} to {low:,}"
