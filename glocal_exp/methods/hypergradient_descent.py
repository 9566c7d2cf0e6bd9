"""Hypergradient descent: how the last step's learning rate moves the next training loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class HypergradientDescent(Method):
    """Baydin et al. 2018: steps along d L_{t+1}(theta_{t+1}) / d alpha_t, whatever the optimizer.

    With SGD that is the product of two successive gradients, with a minus. The paper updates after
    every step, as with interval=1; in longer intervals these are added up. Nothing of the past
    counts, and no validation data.

    Attributes:
        learned: the paper's rule is for the learning rate; what is not named stays.
    """

    learned: Sequence[str]

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned}

    def wanted(self, interval: int) -> Wanted:
        return Wanted(training=range(interval), discount=0.0)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        moves = np.isin(moment.names, list(self.learned))
        return Estimate(np.where(moves, measured.training.sum(axis=0), 0.0))
