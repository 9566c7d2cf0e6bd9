"""Whole runs of the engine as candidates: built when first called, run from the start by each."""

from collections.abc import Sequence

import numpy as np

from benchmarks.comparison import Candidate
from benchmarks.work import Scale, experiment
from glocal_exp.app.build import Experiment
from glocal_exp.data import Splits
from glocal_exp.engine import Loop
from glocal_exp.records import IntervalRecord

TRAINING_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 54_000, 6_000, 10_000


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
        size = max(size * scale.validation // VALIDATION_IMAGES, 2 * scale.batch)
        chosen = np.resize(np.arange(len(labels)), size)
        return {"x": images[chosen], "y": labels[chosen].astype(np.int32)}

    train = part(made.data.train_images, made.data.train_labels, TRAINING_IMAGES)
    held_out = {name: values[: scale.validation] for name, values in train.items()}
    test = part(made.data.test_images, made.data.test_labels, TEST_IMAGES)
    return Splits(train, held_out, test, {})
