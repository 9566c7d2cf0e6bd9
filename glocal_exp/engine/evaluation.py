"""Metrics of the real state of every seed."""

from collections.abc import Mapping

import jax
import numpy as np
from jaxtyping import Array

from glocal_exp.engine.checkpoint import Snapshots
from glocal_exp.engine.work import Work
from glocal_exp.hypergrad.forward import mean_over_chunks
from glocal_exp.types import Batch


def evaluate(work: Work, snapshots: Snapshots) -> dict[int, dict[str, float]]:
    """Metrics on validation and test examples, by seed."""

    def metrics_of(state, phi, batch) -> dict[str, Array]:
        """The problem's metrics, and its meta loss as `meta_loss`, as means over `batch`."""

        def metrics(piece: Batch) -> dict[str, Array]:
            named = work.problem.metrics(state, piece)
            if "meta_loss" in named:
                return named
            return named | {"meta_loss": work.problem.meta_loss(state, phi, piece)}

        numerics = work.plan.numerics
        chunk, at_once = numerics.evaluation_chunk, numerics.chunks_at_once
        means = mean_over_chunks(metrics, batch, chunk, at_once=at_once)
        meta_loss = means.pop("meta_loss")
        return work.problem.summarize(means) | {"meta_loss": meta_loss}

    data = work.examples.data(list(snapshots))
    by_seed = {seed: (s.kept[0] if s.kept else s.state, s.phi) for seed, s in snapshots.items()}
    by_split: dict[int, dict] = {seed: {} for seed in snapshots}
    for split, examples in (("validation", data.validation), ("test", data.test)):
        if examples is not None:
            found = work.programs.call("evaluate", metrics_of, by_seed, stacked=(examples,))
            for seed, values in found.items():
                by_split[seed][split] = jax.device_get(values)
    return {seed: name(values) for seed, values in by_split.items()}


def name(values: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, float]:
    """`validation_loss` is the meta loss; the rest are the problem's metrics with their split.

    Of a vector each entry has a name of its own, `test_class_accuracy/3`.
    """
    named = {}
    for split, metrics in values.items():
        for metric, value in metrics.items():
            entries = {f"/{i}": x for i, x in enumerate(value)} if np.ndim(value) else {"": value}
            named |= {f"{split}_{metric}{i}": float(x) for i, x in entries.items()}
        del named[f"{split}_meta_loss"]
    return named | {"validation_loss": float(values["validation"]["meta_loss"])}
