"""What an outer step leaves behind, as a record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.methods.method import Estimate, Moment
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

    def record(
        self,
        seed: int,
        moment: Moment,
        played: Snapshot,
        metrics: dict[str, float],
        estimate: Estimate | None = None,
        **others: Any,
    ) -> IntervalRecord:
        """The record of a seed's outer step, played out as far as the method looks.

        Outer step 0 is before training, where there is no estimate.
        """
        estimate = estimate or Estimate(None)
        h, losses, by_name = estimate.hypergradient, played.losses, {}
        if h is not None and len(h) <= NAMED:
            by_name = dict(zip(self.names, map(float, h), strict=True))
        kept = h is not None and self.keep(moment.outer_step)
        return IntervalRecord(
            seed=seed,
            outer_step=moment.outer_step,
            step=moment.outer_step * moment.interval,
            metrics=metrics | {"train_loss": float(np.mean(losses)) if len(losses) else np.nan},
            hyperparameters=self._describe(played.phi),
            hypergradient=by_name,
            diverged=played.diverged,
            costs=played.costs,
            diagnostics=dict(estimate.diagnostics),
            arrays=dict(estimate.arrays) if kept else {},
            **others,
        )

    def _describe(self, phi: Hyperparams) -> dict[str, float]:
        named = self.problem.describe(phi).items()
        return {name: float(value) for name, value in named if jnp.ndim(value) == 0}
