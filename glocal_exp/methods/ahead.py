"""The exact hypergradient some intervals ahead, as if phi were kept or as if rates were to fall."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment


@dataclass(frozen=True)
class Ahead(Method):
    """Steps along h at the end of a playout of so many more intervals: local at 0, global at all.

    Attributes:
        lookahead: intervals beyond the present one, up to the end of training; to it if None.
        future: hyperparameters of the playout: `held`, as a greedy global method has them, or
            `plan`, which lowers some from interval to interval as meta steps may do later.
        fall: how fast these fall in a plan, in meta steps an interval.
        meta_rate: size of a meta step, on unconstrained hyperparameters.
        falling: their names.
    """

    lookahead: int | None
    future: Literal["held", "plan"]
    fall: float
    meta_rate: float
    falling: Sequence[str]

    def __post_init__(self):
        for name in ("lookahead", "fall", "meta_rate"):
            if not (getattr(self, name) or 0) >= 0:
                raise UserError(f"method.{name}={getattr(self, name)} is not at least 0.")

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"falling": self.falling if self.future == "plan" else ()}

    def intervals_ahead(self, outer_step: int, outer_steps: int) -> int:
        left = outer_steps - outer_step
        return left if self.lookahead is None else min(self.lookahead, left)

    def shift(self, interval: int) -> Mapping[str, float]:
        if self.future == "held":
            return {}
        return dict.fromkeys(self.falling, -self.fall * self.meta_rate * interval)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(measured.h[-1])
