"""The engine's loops as candidates: built when first called, run from the start by each call."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.comparison import Outcome
from benchmarks.work import Scale, experiment
from glocal_exp.app.build import Experiment
from glocal_exp.engine import Hooks, Loop, Splits, run
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.records import IntervalRecord
from glocal_exp.studies.complexity import Blocks

TEST_IMAGES, TRAINING_IMAGES, VALIDATION_IMAGES = 10_000, 54_000, 6_000
FAR = 10**6
"""Intervals of a run that is never finished."""


def whole_run(
    scale: Scale, *overrides: str, seeds: Sequence[int] = (0,), together: bool = True
) -> Callable[[], list[IntervalRecord]]:
    """A call that makes the run which `overrides` describe, evaluations included.

    Splits are as large as Fashion-MNIST's, filled with the embedded images over and over. Nothing
    is written, and what compiles does so in the first call.

    Args:
        together: several seeds in one program; else one after another.
    """
    loops: list[Loop] = []

    def call() -> list[IntervalRecord]:
        if not loops:
            made = experiment(scale, *overrides)
            splits = image_splits(made, scale)
            groups = [tuple(seeds)] if together else [(seed,) for seed in seeds]
            loops.extend(made.loop(dict.fromkeys(group, splits)) for group in groups)
        for loop in loops:
            loop.restart()
        return [record for loop in loops for record in loop]

    return call


def image_splits(made: Experiment, scale: Scale) -> Any:
    """As many images as the scale has for validation, and nine and 5/3 times as many besides."""

    def part(images: np.ndarray, labels: np.ndarray, size: int) -> dict[str, np.ndarray]:
        size = max(size * scale.validation // VALIDATION_IMAGES, 2 * scale.batch)
        chosen = np.resize(np.arange(len(labels)), size)
        return {"x": images[chosen], "y": labels[chosen].astype(np.int32)}

    data = made.data
    train = part(data.train_images, data.train_labels, TRAINING_IMAGES)
    held_out = {name: values[: scale.validation] for name, values in train.items()}
    return Splits(train, held_out, part(data.test_images, data.test_labels, TEST_IMAGES))


class Reweighting:
    """One interval of the reweighting task, from a state so many intervals after the start.

    Training up to there, along local hypergradients, happens when it is first needed.
    """

    def __init__(self, scale: Scale, intervals: int, meta_rate: float):
        self._scale, self._intervals, self._meta_rate = scale, intervals, meta_rate

    def way(self, mode: str) -> tuple[Callable[[], Outcome], Callable[[], dict[str, float]]]:
        """A call that makes the interval's hypergradient, and one that tells facts of the last.

        The facts are how many tangents were pushed and the error that was estimated, if any was.
        """
        loops, diagnostics = [], {}

        def call() -> Outcome:
            if not loops:
                loops.append(self._loop(mode, self._scale.steps))
            loop, start = loops[0], self._start
            loop.restart()
            loop.snapshots = {seed: replace(s, **start) for seed, s in loop.snapshots.items()}
            *_, record = loop
            diagnostics.update(record.diagnostics)
            return {"h": record.arrays["hypergradient"]}

        def facts() -> dict[str, float]:
            names = {"tangents": "low_rank_tangents", "estimated error": "low_rank_error"}
            return {name: diagnostics[key] for name, key in names.items() if key in diagnostics}

        return call, facts

    @cached_property
    def _start(self) -> dict[str, Any]:
        loop = self._loop("reverse", self._scale.interval, self._intervals)
        for _ in islice(loop, self._intervals + 1):  # the first is that before training
            pass
        return {"state": loop.states[0], "phi": loop.hyperparams[0]}

    def _loop(self, mode: str, interval: int, intervals: int = 1) -> Loop:
        made = experiment(
            self._scale, "task=reweight", "method=local",
            f"hypergradient={mode}", f"meta_optimizer.learning_rate={self._meta_rate}",
            f"interval={interval}", f"steps={max(1, intervals) * interval}",
        )  # fmt: skip
        splits = image_splits(made, self._scale)
        subset = {name: part[: self._scale.subset] for name, part in splits.validation.items()}
        hooks = Hooks(keep=lambda outer_step: True)
        return made.loop({0: Splits(splits.train, subset)}, hooks)


def dmd(scale: Scale, q: int) -> Callable[[], Any]:
    """A call that fits an interval's hypergradients, (window, q), and reads the steady state."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.8, 1.0, q)
    h = np.exp(-np.arange(scale.window)[:, None] * rates) + rng.normal(size=(scale.window, q)) / 10
    fit, steady = HankelDMD(), SteadyStateEstimator()
    return lambda: steady.estimate(fit.fit(h, scale.delays, 1), h, scale.interval)


def host(scale: Scale) -> Callable[[], IntervalRecord]:
    """A call that runs the next interval of a problem of 16 weights and three rates.

    Everything that the engine does on the host is in it (batches, calls, meta step, records), with
    an h_t a step of the window, and next to nothing else.
    """
    size = 8 * scale.batch
    examples = {"x": np.ones((size, 16), np.float32), "y": np.ones((size, 1), np.float32)}
    window = WindowMean(window=scale.window, stride=1)
    steps = FAR * scale.interval
    loop = run(
        Blocks(16, 3), Splits(examples, examples), window,
        steps=steps, interval=scale.interval, batch_size=scale.batch,
    )  # fmt: skip
    next(loop)  # before training
    return lambda: next(loop)
