"""Evolution strategies: the slope that pairs of perturbed copies show, without derivatives."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class Evolution(Method):
    """Steps along the mean of (L_up - L_down) / (2 scale^2) times the move, over antithetic pairs.

    Copies start each interval anew; those of `Persistent` do not.
    """

    pairs: int  # of copies; each costs two plain steps a step
    scale: float  # standard deviation of the moves, in unconstrained units

    def __post_init__(self):
        if self.pairs < 1:
            raise UserError(f"method.pairs={self.pairs} is not at least 1.")
        if not self.scale > 0:
            raise UserError(f"method.scale={self.scale} is not above 0.")

    def wanted(self, interval: int) -> Wanted:
        return Wanted(copies=self.pairs, scale=self.scale)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        difference = measured.losses[:, 0] - measured.losses[:, 1]
        slope = difference @ measured.moves / (2 * self.scale**2 * self.pairs)
        return Estimate(slope, {"loss_spread": float(np.ptp(measured.losses))})


@dataclass(frozen=True)
class Persistent(Evolution):
    """Vicol et al. 2021 (PES), of the loss at each interval's end: copies go on as they are.

    A copy's move is then the sum of its moves since the start of training.
    """

    persistent: ClassVar[bool] = True

    # a pair draws its move once and keeps it throughout training, which varies less where intervals
    # are short (ES-Single, Vicol 2023; the same as noise reuse, Li et al. 2023)
    single: bool = False

    def wanted(self, interval: int) -> Wanted:
        return replace(super().wanted(interval), single=self.single)
