"""Discounted future training losses, as far as past steps tell of them: MetaOptimize."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class MetaOptimize(Method):
    """Sharifnassab et al. 2025, by their L-approximation with the Hessian kept.

    The objective is the sum of gamma^k times the training loss k steps later. Its derivative is
    traced backwards: with x the whole inner state, beta the unconstrained hyperparameters and
    Theta the step,

        H_{t+1} = gamma (d Theta / d x) H_t + d Theta / d beta,        H_0 = 0,
        beta_{t+1} follows (d f_t / d x_t) H_t,

    f_t the loss on the batch of the step from t to t + 1, which is taken at beta_t. That later
    betas follow from earlier states is left out (Y = 1 in the paper), which is what makes the
    matrix of its recursion an L. The paper updates after every step, as with interval=1; in longer
    intervals the products of all steps are added up. The paper's own experiments leave the
    Hessian out of d Theta / d x besides; here it is kept.
    """

    persistent: ClassVar[bool] = True

    gamma: float  # discount of the future; 1 weighs all of it alike
    learned: Sequence[str]  # step sizes in the paper; what is not named stays

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned}

    def wanted(self, interval: int) -> Wanted:
        return Wanted(training=range(interval), discount=self.gamma)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        """That of the steps before: the last one measured is for the step to come."""
        moves = np.isin(moment.names, list(self.learned))
        rows = np.where(moves, measured.training, 0.0)
        before = moment.memory.get("last", np.zeros(len(moves)))
        return Estimate(before + rows[:-1].sum(axis=0), memory={"last": rows[-1]})
