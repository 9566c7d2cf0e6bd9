"""Hypergradients whose past is discounted, between one step's and all of training's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Estimate, Measured, Moment, Wanted


@dataclass(frozen=True)
class Discounted(Local):
    """Donini et al. 2020 (MARTHE) with a fixed mu: h_t along Z_t = mu A_t Z_{t-1} + B_t.

    At mu = 1 that is real-time hypergradient descent
    (Franceschi et al. 2017), at mu = 0 hypergradient descent on the validation loss. The paper
    updates after every step, as with interval=1.
    """

    persistent: ClassVar[bool] = True

    mu: float = 1.0  # what is kept of the past in each step
    # the paper's rule is for the learning rate; what is not named stays; all if None
    learned: Sequence[str] | None = None
    evaluate: Literal["last", "every"] = "last"

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned or ()}

    def wanted(self, interval: int) -> Wanted:
        return Wanted(super().wanted(interval).steps, discount=self.mu)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        h = measured.h[-1] if self.evaluate == "last" else measured.h.sum(axis=0)
        if self.learned is None:
            return Estimate(h)
        return Estimate(np.where(np.isin(moment.names, list(self.learned)), h, 0.0))
