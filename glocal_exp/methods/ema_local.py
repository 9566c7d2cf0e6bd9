"""The window's exponential mean: local, with less of the last batch in it."""

from dataclasses import dataclass

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted, last_of


@dataclass(frozen=True)
class EmaLocal(Method):
    """Steps along a mean of the last `window` hypergradients, each weighing `decay` of the next."""

    window: int  # hypergradients that count, in training steps
    decay: float  # 0 is local, 1 the window's mean

    def __post_init__(self):
        if not 0 <= self.decay <= 1:
            raise UserError(f"method.decay={self.decay} is not from 0 to 1.")

    def wanted(self, interval: int) -> Wanted:
        return Wanted(last_of(self.window, 1, interval))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        weights = float(self.decay) ** np.arange(len(measured.h))[::-1]
        return Estimate(weights @ measured.h / weights.sum())
