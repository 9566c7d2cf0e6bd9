"""Whole runs of the engine as candidates: built once, and run from the start at every call."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glocal_exp.app.build import build
from glocal_exp.app.compose import jobs
from glocal_exp.bench.work import Scale
from glocal_exp.engine import Splits, run

TEST_IMAGES = 10_000
TRAINING_IMAGES = 54_000


def whole_run(
    scale: Scale, *overrides: str, seeds: Sequence[int] = (0,), together: bool = True
) -> Callable[[], Any]:
    """A call that makes the run which `overrides` describe, evaluations included.

    Splits are as large as Fashion-MNIST's, filled with the embedded images over and over. Nothing
    is written, and what compiles does so in the first call.

    Args:
        together: several seeds in one program; else one after another.
    """
    common = ["source=bundled", "device=cpu", "tracker=none", f"batch_size={scale.batch}"]
    job = jobs([*common, *overrides], sweep=False)[0]
    experiment = build(job.config, job.choices)
    cfg, splits = job.config, image_splits(experiment.data, scale, job.config.validation.subset)
    groups = [tuple(seeds)] if together else [(seed,) for seed in seeds]
    loops = []

    def make(group: Sequence[int]) -> Any:
        return run(
            experiment.problem,
            dict.fromkeys(group, splits),
            experiment.method,
            steps=cfg.steps,
            interval=cfg.interval,
            batch_size=cfg.batch_size,
            meta_optimizer=experiment.meta_optimizer,
            numerics=experiment.numerics,
        )

    def call() -> list[Any]:
        if not loops:
            loops.extend(map(make, groups))
        for loop in loops:
            loop.restart()
        return [record for loop in loops for record in loop]

    return call


def image_splits(data: Any, scale: Scale, subset: int | None) -> Splits:
    """As many images as the scale has for validation, and nine and 5/3 times as many besides."""
    share = scale.validation / 6000

    def part(images: np.ndarray, labels: np.ndarray, size: int) -> dict[str, np.ndarray]:
        chosen = np.resize(np.arange(len(labels)), max(size, 2 * scale.batch))
        return {"x": images[chosen], "y": labels[chosen].astype(np.int32)}

    train = part(data.train_images, data.train_labels, int(share * TRAINING_IMAGES))
    test = part(data.test_images, data.test_labels, int(share * TEST_IMAGES))
    held_out = {name: values[: scale.validation] for name, values in train.items()}
    meta = subset and {name: values[:subset] for name, values in held_out.items()}
    return Splits(train, held_out, test, meta or None)
