"""What an outer step leaves behind, as a record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.methods.method import Estimate, Measured, Moment
from glocal_exp.records import IntervalRecord
from glocal_exp.types import Hyperparams, InnerProblem

NAMED = 16
"""Up to so many numbers a record holds each by name, of more what sums them up."""


@dataclass(frozen=True)
class Recorder:
    """Makes the records of a run."""

    problem: InnerProblem
    names: tuple[str, ...]  # the q hyperparameters, in the order of the hypergradient
    keep: Callable[[int], bool]  # whether to put the arrays of an outer step into its record

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
        elif h is not None:
            by_name = {"norm": float(np.linalg.norm(h)), "largest": float(np.abs(h).max())}
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
            remarks=tuple(estimate.remarks),
            arrays=dict(estimate.arrays) if kept else {},
            **others,
        )

    def _describe(self, phi: Hyperparams) -> dict[str, float]:
        named = {}
        for name, value in self.problem.describe(phi).items():
            numbers = np.asarray(value, np.float64)
            entries = {f"{name}/{i}": x for i, x in enumerate(numbers.ravel())}
            if numbers.size > NAMED:
                several = {"min": numbers.min(), "mean": numbers.mean(), "max": numbers.max()}
                entries = {f"{name}/{what}": x for what, x in several.items()}
            named |= entries if numbers.ndim else {name: numbers}
        return {name: float(value) for name, value in named.items()}


def without_effect(measured: Measured, moment: Moment) -> list[str]:
    """A sentence on hyperparameters that have moved nothing in a run's first interval.

    In one of a single step momentum has none yet, without anything being wrong.
    """
    mask = measured.silent
    if moment.outer_step > 1 or moment.interval < 2 or not mask.any():
        return []
    silent = [name for name, is_silent in zip(moment.names, mask, strict=True) if is_silent]
    several = f", and {len(silent) - 3} more" if len(silent) > 3 else ""
    return [
        f"Without effect on the meta loss in the first interval, their hypergradients exactly 0: "
        f"{', '.join(silent[:3])}{several}; a rule that reads a hyperparameter only at its start, "
        "or only through a sign, cannot be learned by it."
    ]
