"""The engine's loops as candidates: built when first called, run from the start by each call."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.comparison import Candidate, Outcome
from benchmarks.work import Scale, experiment
from glocal_exp.app.build import Experiment
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.engine import Forward, Hooks, Loop, Plan, Schedule, Splits
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.records import IntervalRecord
from glocal_exp.studies.complexity import Blocks

TRAINING_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 54_000, 6_000, 10_000
FAR = 10**6  # intervals of a run that is never finished


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


def image_splits(made: Experiment, scale: Scale) -> ImageSplits:
    """The embedded images over and over: as many as Fashion-MNIST's, if validation is 6,000."""

    def part(images: np.ndarray, labels: np.ndarray, size: int) -> dict[str, np.ndarray]:
        size = max(size * scale.validation // VALIDATION_IMAGES, 2 * scale.batch)
        chosen = np.resize(np.arange(len(labels)), size)
        return {"x": images[chosen], "y": labels[chosen].astype(np.int32)}

    train = part(made.data.train_images, made.data.train_labels, TRAINING_IMAGES)
    held_out = {name: values[: scale.validation] for name, values in train.items()}
    test = part(made.data.test_images, made.data.test_labels, TEST_IMAGES)
    return ImageSplits(train, held_out, test, {})


class Reweighting:
    """One interval of the reweighting task, so many intervals along local hypergradients on."""

    def __init__(self, scale: Scale, intervals: int, meta_rate: float):
        self._scale, self._intervals, self._meta_rate = scale, intervals, meta_rate

    def way(self, name: str, mode: str) -> Candidate:
        """The interval's hypergradient; facts are those that the mode records of its tangents."""
        loops, diagnostics = [], {}

        def run() -> Outcome:
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

        return Candidate(name, run, facts=facts)

    @cached_property
    def _start(self) -> dict[str, Any]:
        loop = self._loop("reverse", self._scale.interval, self._intervals)
        *_, _ = islice(loop, self._intervals + 1)  # the first record is that before training
        return {"state": loop.states[0], "phi": loop.hyperparams[0]}

    def _loop(self, mode: str, interval: int, intervals: int = 1) -> Loop:
        task = ["task=reweight", f"meta_optimizer.learning_rate={self._meta_rate}"]
        how = ["method=local", f"hypergradient={mode}", f"interval={interval}"]
        made = experiment(self._scale, *task, *how, f"steps={max(1, intervals) * interval}")
        splits = image_splits(made, self._scale)
        subset = {name: part[: self._scale.subset] for name, part in splits.validation.items()}
        parts, hooks = {0: Splits(splits.train, subset)}, Hooks(keep=lambda outer_step: True)
        optimizer = made.meta_optimizer
        return Loop(made.problem, parts, made.plan, meta_optimizer=optimizer, hooks=hooks)


def dmd(scale: Scale, q: int) -> Callable[[], Any]:
    """A call that fits an interval's hypergradients, (window, q), and reads the steady state."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.8, 1.0, q)
    h = np.exp(-np.arange(scale.window)[:, None] * rates) + rng.normal(size=(scale.window, q)) / 10
    fit, steady = HankelDMD(), SteadyStateEstimator()
    return lambda: steady.estimate(fit.fit(h, scale.delays, 1), h, scale.interval)


def host(scale: Scale) -> Callable[[], IntervalRecord]:
    """A call that runs the next interval of a problem of 16 weights and three rates.

    Batches, calls, meta step and records are in it, an h_t a step of the window, and little else.
    """
    size, tau = 8 * scale.batch, scale.interval
    examples = {"x": np.ones((size, 16), np.float32), "y": np.ones((size, 1), np.float32)}
    splits, method = Splits(examples, examples), WindowMean(window=scale.window, stride=1)
    plan = Plan(Schedule(FAR * tau, tau, scale.batch), method, Forward())
    loop = Loop(Blocks(16, 3), {0: splits}, plan)
    next(loop)  # before training
    return lambda: next(loop)
