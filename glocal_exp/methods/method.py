"""What every method answers; the engine knows nothing else of them.

A method says what it wants measured in an interval (`Wanted`), is given that (`Measured`) with the
place in training (`Moment`), and makes a hypergradient of it (`Estimate`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from glocal_exp.errors import UserError

SHOWN = 6
"""Hyperparameters of the task's that a message names."""


@dataclass(frozen=True)
class Distillation:
    """How h is to be approximated by one product, and how its length is found."""

    gamma: float  # what a step is taken to keep of the past
    horizon: int  # training steps ahead that the length is fitted to
    every: int  # horizons of training from one fit to the next; the first is at its start

    def __post_init__(self):
        if not 0 <= self.gamma < 1:
            raise UserError(f"method.gamma={self.gamma} is not from 0 to below 1.")
        for name in ("horizon", "every"):
            if getattr(self, name) < 1:
                raise UserError(f"method.{name}={getattr(self, name)} is not at least 1.")

    def due(self, done: int, interval: int) -> bool:
        """Whether to fit after so many steps of training, where an interval begins."""
        apart = self.every * self.horizon
        return done // apart > (done - interval) // apart


@dataclass(frozen=True)
class Wanted:
    """What is to be measured in the last interval of an outer step.

    Attributes:
        steps: indices t - 1 of the h_t to evaluate, ascending: hypergradients of the meta loss.
        training: of those of the training loss, after step t on the batch of step t + 1.
        mean: h once more at the mean of the last so many iterates; 0 for not.
        sharpness: between that mean and the interval's end, where an h_t is asked for too.
        discount: what tangents are multiplied by before each step; 1 keeps all of the past.
        adapts: whether the method changes that: by `discount` in its memory, once it is there.
        newest: the part of each h_t that its last step alone makes, by phi as it acts there.
        sizes: norms of the training loss's gradient times those of the parameters' tangents.
        implicit: h at the interval's end as if its parameters minimized the training loss.
        distilled: h at the interval's end by one product at the states' discounted mean.
        copies: so many pairs of meta losses, of copies whose hyperparameters are moved either way.
        scale: standard deviation of these moves.
        single: a pair keeps its move as long as it goes on.
    """

    steps: Sequence[int] = ()
    training: Sequence[int] = ()
    mean: int = 0
    sharpness: bool = False
    discount: float = 1.0
    adapts: bool = False
    newest: bool = False
    sizes: bool = False
    implicit: bool = False
    distilled: Distillation | None = None
    copies: int = 0
    scale: float = 0.0
    single: bool = False

    def __post_init__(self):
        for name in ("steps", "training"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.sharpness and not (self.steps and self.mean):
            raise UserError("Sharpness is between an h_t and the window's mean; ask for both.")
        if self.newest and not self.steps:
            raise UserError("The newest part is one of an h_t; ask for one.")
        if self.sizes and not self.training:
            raise UserError("Sizes are of the training loss's hypergradients; ask for them.")
        if not 0 <= self.discount <= 1:
            raise UserError(f"A discount of {self.discount} is not from 0 to 1.")

    def __bool__(self) -> bool:
        return self.derivatives or self.copies > 0

    @property
    def derivatives(self) -> bool:
        """Whether anything has to be differentiated."""
        asked = self.steps or self.training or self.mean or self.implicit or self.distilled
        return bool(asked)


def _empty() -> np.ndarray:
    return np.zeros((0, 0))


@dataclass(frozen=True)
class Measured:
    """What was measured, in float64, with respect to the unconstrained hyperparameters.

    What was not asked for is empty.

    Attributes:
        h: the h_t asked for, in their order.
        training: likewise of the training loss.
        newest: what of h their last steps alone make.
        sizes: what bounds the training loss's hypergradients, by Cauchy and Schwarz.
        mean: the gradient of the meta loss at the mean of the window's parameters, times the mean
            of their tangents.
        mean_direct: the meta loss's direct derivative there, which is not a part of `mean`.
        values: the meta losses at the h_t's steps.
        mean_value: the meta loss at the mean of the window's parameters.
        sharpness: an average of what a training step takes away of a mode that is off its minimum:
            of SGD the learning rate times curvature (`hypergrad.forward.sharpness`).
        implicit: the implicit h.
        distilled: the distilled h.
        losses: of the copies that were moved up and down, at the interval's end.
        moves: what the first of each pair was moved by, the second the other way; summed over the
            intervals since the copies began.
    """

    h: Float[np.ndarray, "n q"] = field(default_factory=_empty)
    training: Float[np.ndarray, "k q"] = field(default_factory=_empty)
    newest: Float[np.ndarray, "n q"] = field(default_factory=_empty)
    sizes: Float[np.ndarray, "k q"] = field(default_factory=_empty)
    mean: Float[np.ndarray, " q"] = field(default_factory=_empty)
    mean_direct: Float[np.ndarray, " q"] = field(default_factory=_empty)
    values: Float[np.ndarray, " n"] = field(default_factory=_empty)
    mean_value: float = math.nan
    sharpness: float = math.nan
    implicit: Float[np.ndarray, " q"] = field(default_factory=_empty)
    distilled: Float[np.ndarray, " q"] = field(default_factory=_empty)
    losses: Float[np.ndarray, "pairs 2"] = field(default_factory=_empty)
    moves: Float[np.ndarray, "pairs q"] = field(default_factory=_empty)

    @property
    def silent(self) -> Bool[np.ndarray, " q"]:
        """Hyperparameters by which every derivative is exactly 0; empty if there are none."""
        rows = self.h, self.training, self.mean, self.mean_direct, self.implicit, self.distilled
        found = [np.atleast_2d(row) for row in rows if row.size]
        return np.all(np.concatenate(found) == 0, axis=0) if found else np.zeros(0, bool)


Memory = Mapping[str, np.ndarray]
"""What a method remembers from one outer step to the next; checkpointed."""


@dataclass(frozen=True)
class Moment:
    """Where in the run an estimate is made.

    Attributes:
        outer_step: s, from 1.
        outer_steps: S.
        interval: tau.
        names: the q hyperparameters, in the hypergradient's order (for messages and scaling).
        memory: of the estimate before this one; empty at first.
        values: hyperparameters in natural units that are single numbers, as used in the interval.
        metrics: of the interval's end, where they were taken.
    """

    outer_step: int
    outer_steps: int
    interval: int
    names: tuple[str, ...] = ()
    memory: Memory = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

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
        memory: what the next outer step's `Moment` is to hold.
        remarks: sentences on what a user should know of it, the same whenever it is so.
    """

    hypergradient: Float[np.ndarray, " q"] | None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    memory: Memory = field(default_factory=dict)
    remarks: Sequence[str] = ()


class Method(ABC):
    """A strategy; implementations are frozen dataclasses whose fields are config values.

    The defaults are those of a greedy method that looks at one h, at its interval's end.

    Attributes:
        keeps: intervals of a playout that become real: 1; 0 where every outer step starts afresh.
        fresh: whether derivatives start from zero at a playout's last interval, not at its first.
        carries: whether they may go on from one interval to the next, if `carry_tangents` asks.
        persistent: whether they always do.
    """

    keeps: int = 1
    fresh: bool = False
    carries: bool = True
    persistent: bool = False

    def wanted(self, interval: int) -> Wanted:
        """What an outer step's last interval, of so many steps, has to measure.

        Raises:
            UserError: when the method's settings do not fit the interval.
        """
        return Wanted(steps=(interval - 1,))

    def chosen(self) -> Mapping[str, Iterable[str]]:
        """Hyperparameters that settings name and the task must have, by setting."""
        return {}

    def check(self, names: Sequence[str]) -> None:
        """Raise a `UserError` for a chosen hyperparameter that is not among the task's names."""
        for setting, chosen in self.chosen().items():
            if unknown := [name for name in chosen if name not in names]:
                known = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
                raise UserError(
                    f"method.{setting} names {', '.join(unknown)}, and the task has "
                    f"{known or 'none'}."
                )

    def intervals_ahead(self, outer_step: int, outer_steps: int) -> int:
        """Further intervals to play out before h is evaluated."""
        return 0

    def shift(self, interval: int) -> Mapping[str, float]:
        """What is added to unconstrained hyperparameters, by name, in a playout's n-th interval.

        The first of the playout, the one that becomes real, is the zeroth.
        """
        return {}

    def schedule(self) -> Mapping[str, int]:
        """By hyperparameter, so many values that it takes in a training, one after another.

        What is not named has one.
        """
        return {}

    @abstractmethod
    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        """The hypergradient from what was measured."""


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
