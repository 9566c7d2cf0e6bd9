"""Experiments on the embedded images at a scale, and whole runs of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.measure import Candidate
from glocal_exp.app.build import Experiment, build
from glocal_exp.app.compose import jobs
from glocal_exp.data import Splits
from glocal_exp.engine import Loop
from glocal_exp.records import IntervalRecord

SIZES = {"train": 54_000, "validation": 6_000, "test": 10_000}  # Fashion-MNIST's, in images


@dataclass(frozen=True)
class Scale:
    """How large the work of all entries is."""

    batch: int = 128  # training images to a step
    steps: int = 10  # training steps to a run of a candidate
    validation: int = 6000  # images of a full validation gradient
    subset: int = 1000  # images of the validation gradients that end a hypergradient
    stretch: int = 20  # tau of one h: so short, since later ones cannot be compared in float32
    interval: int = 100  # tau of a whole run, and so many steps to its interval
    window: int = 80  # sigma
    delays: int = 10  # m
    filters: tuple[int, ...] = (4, 8, 16, 32)  # of LeNet, where it is varied
    wide: tuple[int, int] = (28, 2)  # depth and width of WideResNet


FULL = Scale()
SMALL = Scale(16, 2, 40, 20, 3, 6, 4, 2, (2, 4), (10, 1))  # seconds, to try an entry


def experiment(scale: Scale, *overrides: str) -> Experiment:
    """What a run on the embedded Fashion-MNIST is made of, `overrides` as a run takes them."""
    common = ["source=bundled", "device=cpu", "tracker=none", f"batch_size={scale.batch}"]
    (job,) = jobs([*common, *overrides], sweep=False)
    return build(job.config, job.choices)


def whole_run(
    name: str, scale: Scale, *overrides: str, seeds: Sequence[int] = (0,), together: bool = True
) -> Candidate:
    """Makes the run which `overrides` describe, with its evaluations.

    Several seeds run in one program if `together`, else one after another.
    """
    loops: list[Loop] = []

    def run() -> list[IntervalRecord]:
        if not loops:
            made = experiment(scale, *overrides)
            splits = image_splits(made, scale)
            groups = [tuple(seeds)] if together else [(seed,) for seed in seeds]
            loops.extend(made.loop(dict.fromkeys(group, splits)) for group in groups)
        for loop in loops:
            loop.restart()
        return [record for loop in loops for record in loop]

    return Candidate(name, run, compared=False)


def image_splits(made: Experiment, scale: Scale) -> Splits:
    """The embedded images over and over: as many as Fashion-MNIST's, if validation is 6,000."""

    def part(images: np.ndarray, labels: np.ndarray, size: int) -> dict[str, np.ndarray]:
        size = max(size * scale.validation // SIZES["validation"], 2 * scale.batch)
        chosen = np.resize(np.arange(len(labels)), size)
        return {"x": images[chosen], "y": labels[chosen].astype(np.int32)}

    train = part(made.data.train_images, made.data.train_labels, SIZES["train"])
    held_out = {name: values[: scale.validation] for name, values in train.items()}
    test = part(made.data.test_images, made.data.test_labels, SIZES["test"])
    return Splits(train, held_out, test, {})
