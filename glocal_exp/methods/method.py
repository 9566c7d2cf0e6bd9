"""What every method answers; the engine knows nothing else of them."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float

from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Moment:
    """Where in the run an estimate is made.

    Attributes:
        outer_step: s, from 1.
        outer_steps: S.
        interval: tau.
        names: the q hyperparameters, in the hypergradient's order (for messages and scaling).
    """

    outer_step: int
    outer_steps: int
    interval: int
    names: tuple[str, ...] = ()

    @property
    def steps_left(self) -> int:
        """T - s tau: training steps after this interval."""
        return (self.outer_steps - self.outer_step) * self.interval


@dataclass(frozen=True)
class Estimate:
    """A method's hypergradient with what there is to say about it.

    Attributes:
        hypergradient: (q,), or None where the hyperparameters stay.
        diagnostics: scalars by name.
        arrays: larger things by name (eigenvalues, modes, amplitudes).
    """

    hypergradient: Float[np.ndarray, " q"] | None
    diagnostics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


Memory = dict[str, np.ndarray]
"""What a method remembers from one outer step to the next; checkpointed."""


class Method(Protocol):
    """A strategy. Implementations are frozen dataclasses whose fields are config values."""

    keeps: int
    """Intervals of a playout that become real: 1, or 0 where every outer step starts afresh."""

    def record(self, interval: int) -> range:
        """Indices t - 1 of the h_t that the outer step's last interval has to evaluate.

        Raises:
            UserError: when the method's settings do not fit the interval.
        """
        ...

    def lookahead(self, outer_step: int, outer_steps: int) -> int:
        """Further intervals to play out, with the same hyperparameters, before h is evaluated."""
        ...

    def estimate(
        self, h: Float[np.ndarray, "n q"], moment: Moment, memory: Memory
    ) -> tuple[Estimate, Memory]:
        """The hypergradient from the recorded trajectory; float64."""
        ...


@dataclass(frozen=True)
class Greedy:
    """What most methods share: one interval an outer step, nothing remembered, one h at its end."""

    keeps = 1

    def record(self, interval: int) -> range:
        return range(interval - 1, interval)

    def lookahead(self, outer_step: int, outer_steps: int) -> int:
        return 0


def is_fresh(method: Method) -> bool:
    """Whether tangents start at the last interval of a playout: for methods with `fresh = True`."""
    return bool(getattr(method, "fresh", False))


def last_of(window: int, stride: int, interval: int) -> range:
    """Every `stride`-th of the last `window` steps of an interval, its last step included.

    Raises:
        UserError: when the window does not fit.
    """
    if not 1 <= window <= interval:
        raise UserError(
            f"method.window={window} does not fit interval={interval}; choose a window from 1 to "
            f"{interval} or a longer interval."
        )
    if not 1 <= stride <= window:
        raise UserError(f"method.stride={stride} is not from 1 to method.window={window}.")
    return range(interval - 1 - (window - 1) // stride * stride, interval, stride)
