"""No information: a fixed direction, whatever training does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class Constant(Method):
    """What a comparison has to beat: `raise`, `lower` or `keep` each hyperparameter."""

    moves: Mapping[str, str]  # by name; those without one stay

    def __post_init__(self):
        for name, move in self.moves.items():
            if move not in SIGNS:
                raise UserError(
                    f"method.moves.{name} is {move!r}; choose one of {', '.join(SIGNS)}."
                )

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"moves": self.moves}

    def wanted(self, interval: int) -> Wanted:
        return Wanted()

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(np.array([SIGNS[self.moves.get(n, "keep")] for n in moment.names]))


SIGNS = {"raise": -1.0, "lower": 1.0, "keep": 0.0}
"""Of the hypergradient, which a meta optimizer steps against."""
