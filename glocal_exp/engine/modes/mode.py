"""What every mode of differentiation answers; the engine knows nothing else of them."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, PyTree

from glocal_exp.engine.checkpoint import Snapshot, Snapshots
from glocal_exp.engine.plan import Choice, Plan, Problem
from glocal_exp.engine.work import Carry, Marks, Segment, Work
from glocal_exp.methods.method import Measured
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState


class Mode(Choice):
    """How hypergradients are computed."""

    counts: ClassVar[str]  # the field of `records.Costs` that its steps count in

    def costs(self, plan: Plan, length: int) -> Costs:
        """Of a segment, its gradients of the validation loss apart."""
        return Costs(**{self.counts: length})

    def resolve(self, plan: Plan, problem: Problem) -> "Mode":
        self.refuse(self.obstacle(plan, problem))
        return self

    def lengths(self, plan: Plan) -> list[int]:
        """Steps of each segment of an interval."""
        return plan.numerics.pieces(plan.schedule.interval)

    @abstractmethod
    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Carry:
        """What is carried where derivatives start from zero.

        Args:
            columns: as many as a checkpoint's carry has, if a mode's may differ.
        """

    def columns(self, carry: Carry) -> int | None:
        """What `start` has to be told to shape a carry like this one."""
        return None

    def prepare(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[], None]
    ) -> Snapshots:
        """What comes before an outer step's playout, or what a checkpoint has of it.

        Args:
            start: training steps done where the playout starts.
            pause: to be called where the run may be stopped.
        """
        return snapshots

    def finish(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[Snapshots], None]
    ) -> Snapshots:
        """What comes after an outer step's playout, before it is read.

        Args:
            start: training steps done where the playout starts.
            pause: to be called, with what it is to go on from, where the run may be stopped.
        """
        return snapshots

    def mean(self, snapshot: Snapshot) -> PyTree | None:
        """The window's mean parameters at an interval's end, where the method wants them."""
        return None

    @abstractmethod
    def train(self, work: Work) -> Callable[..., Segment]:
        """What a segment computes, of (state, phi, carry, key, indices, data, marks).

        Compiled once for each shape. Indices are of each step's batch; where the training loss is
        measured, of one step more.
        """

    def segment(
        self, work: Work, snapshots: Snapshots, start: int, marks: Marks, length: int
    ) -> Mapping[int, Segment]:
        """Train all seeds for a segment and measure; by seed.

        Args:
            start: training steps done before.
        """
        train = self.train(work)
        wanted = work.plan.wanted
        static = (self, wanted.discount, wanted.distilled)  # programs may be another method's too
        return work.stretch(self.name, train, snapshots, start, length, marks, static=static)

    def read(self, snapshot: Snapshot) -> tuple[Measured, dict[str, float]]:
        """What a playout has measured, in q columns, and diagnostics of how."""
        return as_measured(snapshot.measured), {}


LOSSES = ("values", "mean_value", "sharpness")
"""Rows that hold no derivatives by hyperparameters."""


def as_measured(rows: Mapping[str, Float[np.ndarray, "n q"]]) -> Measured:
    """Rows by name; of what is measured once, the one that there is."""
    names = "mean", "mean_direct", "mean_value", "sharpness", "implicit", "distilled"
    once = {name: rows[name][-1] for name in names if name in rows}
    return Measured(**{**rows, **once})
