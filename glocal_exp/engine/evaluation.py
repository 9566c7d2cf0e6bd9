"""Metrics of the real state of every seed."""

from collections.abc import Callable, Mapping

import jax
import numpy as np
from jaxtyping import Array, PyTree

from glocal_exp.engine.checkpoint import Snapshot, Snapshots
from glocal_exp.engine.work import Work
from glocal_exp.hypergrad.forward import mean_over_chunks, with_params
from glocal_exp.types import Batch, Named

Mean = Callable[[Snapshot], PyTree | None]
"""Of parameters, at the end of an interval."""
AVERAGED = "_averaged"
"""Ends the name of a metric that is of averaged parameters, never of those that are trained."""


def evaluate(
    work: Work, snapshots: Snapshots, mean: Mean | None = None
) -> dict[int, dict[str, float]]:
    """Metrics on validation and test examples, by seed.

    Args:
        mean: parameters whose metrics are taken too, as `accuracy_averaged`.
    """
    problem = work.problem

    def metrics_of(state, phi, mean, batch) -> dict[str, Array]:
        """The problem's metrics, and its meta loss as `meta_loss`, as means over `batch`."""

        def metrics(piece: Batch) -> tuple[Named, Named]:
            named = problem.metrics(state, piece)
            if "meta_loss" not in named:
                named |= {"meta_loss": problem.meta_loss(state, phi, piece)}
            return named, {} if mean is None else problem.metrics(with_params(state, mean), piece)

        numerics = work.plan.numerics
        chunk, at_once = numerics.evaluation_chunk, numerics.chunks_at_once
        named, averaged = mean_over_chunks(metrics, batch, chunk, at_once=at_once)
        meta_loss = named.pop("meta_loss")
        averaged = {n: v for n, v in averaged.items() if n != "meta_loss" and AVERAGED not in n}
        found = problem.summarize(averaged) if averaged else {}
        # A task that averages iterates itself says what it is that is averaged.
        found = {f"{name}{AVERAGED}": value for name, value in found.items()}
        return found | problem.summarize(named) | {"meta_loss": meta_loss}

    data = work.examples.data(list(snapshots))
    by_seed = {
        seed: (s.kept[0], s.phi, None) if s.kept else (s.state, s.phi, mean and mean(s))
        for seed, s in snapshots.items()
    }
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
