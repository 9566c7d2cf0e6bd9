"""Metrics of the real state of every seed."""

import time
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.engine.examples import Examples
from glocal_exp.engine.segment import Programs
from glocal_exp.engine.side_by_side import stack, unstack


def evaluate(
    programs: Programs, examples: Examples, snapshots: Mapping[int, Snapshot]
) -> tuple[dict[int, dict[str, float]], float]:
    """Metrics on validation and test examples, by seed; and the seconds that it took."""
    before, start = programs.compile_seconds, time.perf_counter()
    batched = len(snapshots) > 1
    data = examples.data(list(snapshots), batched=batched)
    inputs = [(s.kept[0] if s.kept else s.state, s.phi) for s in snapshots.values()]
    state, phi = stack(inputs) if batched else inputs[0]
    metrics = {"validation": programs.evaluate(state, phi, data.validation, batched=batched)}
    if data.test is not None:
        metrics["test"] = programs.evaluate(state, phi, data.test, batched=batched)
    values = jax.device_get(metrics)
    by_seed = unstack(values, len(snapshots)) if batched else [values]
    elapsed = time.perf_counter() - start - (programs.compile_seconds - before)
    return {seed: name(v) for seed, v in zip(snapshots, by_seed, strict=True)}, elapsed


def name(values: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    """`validation_loss` is the meta loss; the rest are the problem's metrics with their split.

    Of a vector each entry has a name of its own, `test_class_accuracy/3`.
    """
    named = {
        f"{split}_{metric}{ending}": number
        for split, metrics in values.items()
        for metric, value in metrics.items()
        if metric != "meta_loss"
        for ending, number in _numbers(value)
    }
    return named | {"validation_loss": float(values["validation"]["meta_loss"])}


def _numbers(value: np.ndarray) -> Iterator[tuple[str, float]]:
    if np.ndim(value) == 0:
        yield "", float(value)
    else:
        yield from ((f"/{index}", float(number)) for index, number in enumerate(value))
