"""Hypergradient distillation: all of the past by one product at a distilled state."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glocal_exp.methods.method import Distillation, Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class HyperDistill(Method):
    """Lee et al. 2022: h at the interval's end, of all training so far, by one product.

    The product is that of the meta loss's gradient with how phi acts in a step from the discounted
    mean of the states so far; its length is fitted (`hypergrad.distilled` has the formulas). Any
    hyperparameters that act in training steps can be learned, at a cost that does not grow with
    their number. The paper updates after every step, as with interval=1, in episodes that begin at
    a learned start, and fits between episodes; here there is one training, and fits are made along
    the batches to come. gradhpo (PyPI, 0.1.3) has the same product and fit.
    """

    persistent: ClassVar[bool] = True

    gamma: float  # what a step is taken to keep of the past
    horizon: int  # training steps ahead that the length is fitted to
    every: int  # horizons of training from one fit to the next
    learned: Sequence[str] | None = None  # what is not named stays; all if None

    def __post_init__(self):
        self.wanted(1)

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned or ()}

    def wanted(self, interval: int) -> Wanted:
        return Wanted(distilled=Distillation(self.gamma, self.horizon, self.every))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        if self.learned is None:
            return Estimate(measured.distilled)
        moves = np.isin(moment.names, list(self.learned))
        return Estimate(np.where(moves, measured.distilled, 0.0))
