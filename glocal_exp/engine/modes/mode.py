"""What every mode of differentiation answers; the engine knows nothing else of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from glocal_exp.engine.checkpoint import Snapshot, Snapshots
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Measured, Wanted
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState

if TYPE_CHECKING:  # they are made of modes themselves
    from glocal_exp.engine.plan import Plan
    from glocal_exp.engine.work import Work

Carry = PyTree[Any]
"""What a mode carries from step to step beside the state: tangents, sums, a basis, or nothing."""


class Marks(NamedTuple):
    """What is to be measured at each of some steps; None where a method wants none of the kind.

    Attributes:
        steps: h_t.
        training: h_t of the training loss on the next step's batch.
        weights: the step's share in the window's mean.
        ends: h at that mean.
        copies: losses of perturbed copies.
    """

    steps: Bool[np.ndarray, " steps"] | None = None
    training: Bool[np.ndarray, " steps"] | None = None
    weights: Float[np.ndarray, " steps"] | None = None
    ends: Bool[np.ndarray, " steps"] | None = None
    copies: Bool[np.ndarray, " steps"] | None = None

    @classmethod
    def of(cls, wanted: Wanted, interval: int) -> "Marks":
        """Those of an outer step's last interval."""
        place = np.arange(interval)
        first = interval - wanted.mean
        return cls(
            np.isin(place, wanted.steps) if wanted.steps else None,
            np.isin(place, wanted.training) if wanted.training else None,
            (place >= first) / np.float64(wanted.mean) if wanted.mean else None,
            place == interval - 1 if wanted.mean else None,
            place == interval - 1 if wanted.copies else None,
        )

    def part(self, start: int, stop: int, *, last: bool) -> "Marks":
        """Those of some of the steps; all off unless this is an outer step's last interval."""
        return Marks(*(None if m is None else m[start:stop] * last for m in self))

    def rows(self) -> dict[str, Bool[np.ndarray, " steps"]]:
        """By name of what is measured, the steps that have a row of it."""
        named = {"h": self.steps, "training": self.training}
        named |= {"mean": self.ends, "mean_direct": self.ends, "losses": self.copies}
        return {name: mask.astype(bool) for name, mask in named.items() if mask is not None}

    def gradients(self) -> int:
        """Gradients of the whole validation loss."""
        return int(sum(mask.sum() for mask in (self.steps, self.ends) if mask is not None))


class Segment(NamedTuple):
    """What a stretch of steps leaves, of one seed.

    Attributes:
        rows: what was measured, by the names of `Marks.rows`, (steps, columns) each; rows that are
            not marked do not count.
        losses: training loss of each step.
        finite: whether the parameters still are.
    """

    state: InnerState
    carry: Carry
    rows: dict[str, Float[Array, "steps columns"]]
    losses: Float[Array, " steps"]
    finite: Bool[Array, ""]


class Problem(NamedTuple):
    """What a mode has to know of the problem before anything is computed.

    Attributes:
        q: hyperparameters.
        has_rows: whether it is a `RowSpaceProblem`.
    """

    q: int
    has_rows: bool


class Choice(ABC):
    """What a config names: a mode, or what chooses one; a frozen dataclass of settings.

    Attributes:
        name: as users type it.
    """

    name: ClassVar[str]

    def obstacle(self, plan: "Plan", problem: Problem | None = None) -> str | None:
        """Why it cannot serve a plan, as the end of a sentence that starts with its name.

        Asked twice: before anything of the problem is known, and then with it. By default all is
        served but losses of perturbed copies, which no derivative gives.
        """
        return "trains no copies, and this method compares some" if plan.wanted.copies else None

    def refuse(self, obstacle: str | None) -> None:
        """Raise a `UserError` that names the obstacle, if there is one."""
        if obstacle:
            raise UserError(
                f"hypergradient={self.name} {obstacle}; choose hypergradient=auto, which takes the "
                "cheapest that can."
            )

    @abstractmethod
    def resolve(self, plan: "Plan", problem: Problem) -> "Mode":
        """The mode that does the work.

        Raises:
            UserError: when it cannot serve the plan with this problem.
        """


class Mode(Choice):
    """How hypergradients are computed.

    Attributes:
        counts: the field of `records.Costs` that its steps count in.
    """

    counts: ClassVar[str]

    def costs(self, plan: "Plan", length: int) -> Costs:
        """Of a segment, its gradients of the validation loss apart."""
        return Costs(**{self.counts: length})

    def resolve(self, plan: "Plan", problem: Problem) -> "Mode":
        self.refuse(self.obstacle(plan, problem))
        return self

    def lengths(self, plan: "Plan") -> list[int]:
        """Steps of each segment of an interval."""
        return plan.numerics.pieces(plan.schedule.interval)

    @abstractmethod
    def start(
        self, plan: "Plan", state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Carry:
        """What is carried where derivatives start from zero.

        Args:
            columns: as many as a checkpoint's carry has, if a mode's may differ.
        """

    def columns(self, carry: Carry) -> int | None:
        """What `start` has to be told to shape a carry like this one."""
        return None

    def prepare(
        self, work: "Work", snapshots: Snapshots, start: int, pause: Callable[[], None]
    ) -> Snapshots:
        """What comes before an outer step's playout, or what a checkpoint has of it.

        Args:
            start: training steps done where the playout starts.
            pause: to be called where the run may be stopped.
        """
        return snapshots

    @abstractmethod
    def train(self, work: "Work") -> Callable[..., Segment]:
        """What a segment computes, of (state, phi, carry, key, indices, data, marks).

        Compiled once for each shape. Indices are of each step's batch; where the training loss is
        measured, of one step more.
        """

    def segment(
        self, work: "Work", snapshots: Snapshots, start: int, marks: Marks, length: int
    ) -> tuple[Mapping[int, Segment], float]:
        """Train all seeds for a segment and measure; by seed, and the seconds that it took.

        Args:
            start: training steps done before.
        """
        train = self.train(work)
        return work.stretch(self.name, train, snapshots, start, length, marks, static=self)

    def read(self, snapshot: Snapshot) -> tuple[Measured, dict[str, float]]:
        """What a playout has measured, in q columns, and diagnostics of how."""
        return as_measured(snapshot.measured), {}


def as_measured(rows: Mapping[str, Float[np.ndarray, "n q"]]) -> Measured:
    """Rows by name; of what is measured once, the one that there is."""
    once = {name: rows[name][-1] for name in ("mean", "mean_direct") if name in rows}
    return Measured(**{**rows, **once})
