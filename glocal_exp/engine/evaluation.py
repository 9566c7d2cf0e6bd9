"""Metrics of the real state of every seed."""

from collections.abc import Iterator, Mapping

import jax
import numpy as np
from jaxtyping import Array

from glocal_exp.engine.checkpoint import Snapshots
from glocal_exp.engine.work import Work
from glocal_exp.hypergrad.forward import mean_over_chunks
from glocal_exp.types import Batch


def evaluate(work: Work, snapshots: Snapshots) -> tuple[dict[int, dict[str, float]], float]:
    """Metrics on validation and test examples, by seed; and the seconds that it took."""

    def metrics_of(state, phi, batch) -> dict[str, Array]:
        """The problem's metrics, and its meta loss as `meta_loss`, as means over `batch`."""

        def metrics(piece: Batch) -> dict[str, Array]:
            named = work.problem.metrics(state, piece)
            if "meta_loss" not in named:
                named |= {"meta_loss": work.problem.meta_loss(state, phi, piece)}
            return named

        numerics = work.plan.numerics
        chunk, at_once = numerics.evaluation_chunk, numerics.chunks_at_once
        means = mean_over_chunks(metrics, batch, chunk, at_once=at_once)
        meta_loss = means.pop("meta_loss")
        return work.problem.summarize(means) | {"meta_loss": meta_loss}

    data = work.examples.data(list(snapshots))
    by_seed = {seed: (s.kept[0] if s.kept else s.state, s.phi) for seed, s in snapshots.items()}
    by_split: dict[int, dict] = {seed: {} for seed in snapshots}
    elapsed = 0.0
    for split in ("validation", "test"):
        examples = getattr(data, split)
        if examples is not None:
            results, seconds = work.programs.call(
                "evaluate", metrics_of, by_seed, stacked=(examples,)
            )
            elapsed += seconds
            for seed, values in results.items():
                by_split[seed][split] = jax.device_get(values)
    return {seed: name(values) for seed, values in by_split.items()}, elapsed


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
