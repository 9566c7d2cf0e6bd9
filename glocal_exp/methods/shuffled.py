"""Half of the information: the local hypergradient's sizes with signs drawn at random."""

from dataclasses import dataclass

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment


@dataclass(frozen=True)
class Shuffled(Method):
    """What a comparison has to beat: h_tau with random signs, the same ones for every run."""

    draw: int  # which signs

    def __post_init__(self):
        if self.draw < 0:
            raise UserError(f"method.draw={self.draw} is not at least 0.")

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        random = np.random.default_rng([self.draw, moment.outer_step])
        return Estimate(measured.h[-1] * random.choice([-1.0, 1.0], measured.h[-1].shape))
