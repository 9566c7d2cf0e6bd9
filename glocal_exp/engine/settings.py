"""How long a run is and how its work is cut into compiled calls."""

from dataclasses import dataclass

from glocal_exp.errors import UserError


def check_counts(settings: object, *names: str, group: str = "") -> None:
    """Refuse settings that count something and are below 1; None is no count.

    Raises:
        UserError: names the first of them.
    """
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise UserError(f"{group}{name}={value} is not at least 1.")


@dataclass(frozen=True)
class Schedule:
    """The run's length; all in training steps.

    Raises:
        UserError: when these do not fit together.
    """

    steps: int  # T
    interval: int  # tau, training steps to an outer step
    batch_size: int  # training examples to a step
    eval_every: int | None = None  # metrics are taken every so many steps; every interval if None

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
        segment: training steps in one compiled call, at most; a run can be interrupted and
            checkpointed between two of them.
        checkpoint_seconds: inside an interval, checkpoints are at least so far apart.
        playout_gib: memory for what a playout leaves to be swept back through, of all seeds; what
            is beyond it is computed again, at a plain step's cost a step.
    """

    validation_chunk: int | None = None
    evaluation_chunk: int | None = None
    chunks_at_once: int = 1
    segment: int = 100
    checkpoint_seconds: float = 30.0
    playout_gib: float = 6.0

    def __post_init__(self):
        check_counts(self, "validation_chunk", "evaluation_chunk", "chunks_at_once")
        check_counts(self, "segment")
        if not self.playout_gib >= 0:
            raise UserError(f"playout_gib={self.playout_gib} is not at least 0.")

    def pieces(self, interval: int) -> list[int]:
        """Lengths of an interval's segments: as few as `segment` allows, at most two distinct."""
        number = -(-interval // self.segment)
        short, longer = divmod(interval, number)
        return [short + 1] * longer + [short] * (number - longer)
