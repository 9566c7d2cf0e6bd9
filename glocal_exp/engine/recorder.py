"""What an outer step leaves behind, as a record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.methods.method import Estimate, Measured, Moment
from glocal_exp.records import IntervalRecord
from glocal_exp.types import Hyperparams, InnerProblem

NAMED = 16
"""Up to so many hyperparameters, a record holds the hypergradient by name."""


@dataclass(frozen=True)
class Recorder:
    """Makes the records of a run.

    Attributes:
        names: the q hyperparameters, in the order of the hypergradient.
        keep: whether to put the arrays of an outer step into its record.
    """

    problem: InnerProblem
    names: tuple[str, ...]
    keep: Callable[[int], bool]

    def before(
        self, seed: int, snapshot: Snapshot, metrics: dict[str, float], **times: Any
    ) -> IntervalRecord:
        """The record of a seed before training."""
        return IntervalRecord(
            seed=seed,
            outer_step=0,
            step=0,
            metrics=metrics | {"train_loss": float("nan")},
            hyperparameters=self._describe(snapshot.phi),
            **times,
        )

    def after(
        self,
        seed: int,
        moment: Moment,
        played: Snapshot,
        measured: Measured,
        estimate: Estimate,
        metrics: dict[str, float],
        *,
        skipped: bool,
        **times: Any,
    ) -> IntervalRecord:
        """The record of a seed's outer step, played out as far as the method looks."""
        h = estimate.hypergradient
        by_name, arrays = {}, {}
        if h is not None and len(h) <= NAMED:
            by_name = dict(zip(self.names, map(float, h), strict=True))
        if h is not None and self.keep(moment.outer_step):
            arrays = {"trajectory": measured.h, "hypergradient": np.asarray(h), **estimate.arrays}
        return IntervalRecord(
            seed=seed,
            outer_step=moment.outer_step,
            step=moment.outer_step * moment.interval,
            metrics=metrics | {"train_loss": float(np.mean(played.losses))},
            hyperparameters=self._describe(played.phi),
            hypergradient=by_name,
            diverged=played.diverged,
            costs=played.costs,
            diagnostics=dict(estimate.diagnostics),
            skipped=skipped,
            arrays=arrays,
            **times,
        )

    def _describe(self, phi: Hyperparams) -> dict[str, float]:
        named = self.problem.describe(phi).items()
        return {name: float(value) for name, value in named if jnp.ndim(value) == 0}
