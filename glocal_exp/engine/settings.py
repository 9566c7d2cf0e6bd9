"""How long a run is and how its work is cut into compiled calls."""

from dataclasses import dataclass
from typing import Literal, get_args

from glocal_exp.errors import UserError

Mode = Literal["forward", "reverse", "low_rank", "auto"]

REVERSE_FROM = 2
"""A step with q tangents costs 1 + 2.1 q plain steps, a swept one 3.3 (LeNet on one core,
`results/benchmarks/LOG.md`)."""
LOW_RANK_FROM = 32
"""Even a small basis costs a dozen tangents with its probes, and a first pass."""


@dataclass(frozen=True)
class Schedule:
    """The run's length; all in training steps.

    Attributes:
        steps: T.
        interval: tau, training steps to an outer step.
        batch_size: training examples to a step.
        eval_every: metrics are taken every so many steps; every interval if None.

    Raises:
        UserError: when these do not fit together.
    """

    steps: int
    interval: int
    batch_size: int
    eval_every: int | None = None

    def __post_init__(self):
        for name in ("steps", "interval", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"{name}={value} is not a whole number of at least 1.")
        if self.steps % self.interval:
            below = self.steps - self.steps % self.interval
            raise UserError(
                f"steps={self.steps} is not a multiple of interval={self.interval}; "
                f"try steps={max(below, self.interval)}."
            )
        every = self.eval_every
        if every is not None and (every < 1 or every % self.interval):
            raise UserError(
                f"eval_every={every} is not a positive multiple of interval={self.interval}."
            )

    @property
    def outer_steps(self) -> int:
        """S = T / tau."""
        return self.steps // self.interval

    def evaluates(self, step: int) -> bool:
        """Whether metrics are taken after `step` training steps."""
        return step % (self.eval_every or self.interval) == 0 or step == self.steps


@dataclass(frozen=True)
class Numerics:
    """Sizes of the pieces that the work is computed in; results agree up to rounding.

    Attributes:
        validation_chunk: validation examples at a time in a gradient; all if None.
        evaluation_chunk: examples at a time in an evaluation; all if None.
        chunks_at_once: chunks that may be worked on side by side; more than one helps where a
            single one does not keep all cores busy.
        mode: how hypergradients are computed: `forward` by tangents, `reverse` by one sweep back
            through an interval, which gives the one at its end, `low_rank` by tangents in the few
            directions that matter, `auto` by what is cheapest.
        tangent_chunk: forward: tangents pushed at a time; all q if None.
        block: reverse: steps between two states that are kept; if None, every step's is, or as
            few as possible where that were more than `hypergrad.reverse.KEPT_BYTES`.
        tolerance: low rank: the share of the tangent rows' norm that may be left out; 0 keeps all.
        probes: low rank: random directions that estimate what is left out.
        sizes: low rank: tangents to push, probes included; the smallest size that suffices is
            taken, all q beyond the largest.
        reverse_from: `auto` takes reverse mode from so many hyperparameters on.
        low_rank_from: `auto` takes low rank from so many on.
        segment: training steps in one compiled call, at most; a run can be interrupted and
            checkpointed between two of them.
        checkpoint_seconds: inside an interval, checkpoints are at least so far apart.
    """

    validation_chunk: int | None = None
    evaluation_chunk: int | None = None
    chunks_at_once: int = 1
    mode: Mode = "forward"
    tangent_chunk: int | None = None
    block: int | None = None
    tolerance: float = 1e-4
    probes: int = 4
    sizes: tuple[int, ...] = (12, 16, 24, 32, 48, 64, 80, 96, 128, 192)
    reverse_from: int = REVERSE_FROM
    low_rank_from: int = LOW_RANK_FROM
    segment: int = 100
    checkpoint_seconds: float = 30.0

    def __post_init__(self):
        if self.mode not in get_args(Mode):
            raise UserError(f"mode={self.mode} is none of {', '.join(get_args(Mode))}.")
        if not 0 <= self.tolerance < 1:
            raise UserError(f"tolerance={self.tolerance} is not a share from 0 to below 1.")
        if self.probes < 1:
            raise UserError(f"probes={self.probes} is not at least 1.")
        object.__setattr__(self, "sizes", tuple(self.sizes))
        if any(size <= self.probes for size in self.sizes):
            raise UserError(
                f"sizes={list(self.sizes)} has one that leaves no room beside probes={self.probes}."
            )
        chunks = ("validation_chunk", "evaluation_chunk", "tangent_chunk")
        counts = ("chunks_at_once", "block", "segment", "reverse_from", "low_rank_from")
        for name in (*chunks, *counts):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}={value} is not at least 1.")

    def pieces(self, interval: int, *, pulls: bool = False) -> list[int]:
        """Lengths of an interval's segments: as few as `segment` allows, at most two distinct.

        An interval that a sweep goes back through (`pulls`) is one segment, however long.
        """
        number = 1 if pulls else -(-interval // self.segment)
        short, longer = divmod(interval, number)
        return [short + 1] * longer + [short] * (number - longer)
