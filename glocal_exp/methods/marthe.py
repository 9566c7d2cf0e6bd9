"""MARTHE: real-time hypergradients, whose past counts as far as it foretells the present."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class Marthe(Method):
    """Donini et al. 2020: h_t along Z_t = mu A_t Z_{t-1} + B_t, mu and the meta rate adapted.

    After every step, with r_t = grad E(w_t) . B_t what the last step alone makes of h_t, and with
    beta_0 = mu_0 = 0,

        beta_t = max(beta_{t-1} + alpha h_t h_{t-1}, 0),        eta_t = eta_{t-1} - beta_t h_t,
        mu_t = min(max(h_{t-1} / r_t, 0), 1)                    in Z_{t+1},

    as the authors' code has it (class `Marthe` for TensorFlow). The paper's: interval=1 and
    meta_optimizer=sgd, which beta replaces the rate of; `discounted.Discounted` has a fixed mu. In
    longer intervals h_t are the intervals' last, and mu stays for one.
    """

    persistent: ClassVar[bool] = True

    alpha: float | None  # of the meta rate's growth; None keeps that of the meta optimizer
    meta_rate: float  # the meta optimizer's
    # one hyperparameter; the paper's is the learning rate. What is not named stays
    learned: Sequence[str]

    def __post_init__(self):
        if len(self.learned) != 1:
            raise UserError(f"method.learned={list(self.learned)} is not one hyperparameter.")
        if self.alpha is not None and not (self.alpha > 0 and self.meta_rate > 0):
            raise UserError(
                f"method.alpha={self.alpha} and method.meta_rate={self.meta_rate} are not both "
                "above 0."
            )

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned}

    def wanted(self, interval: int) -> Wanted:
        return Wanted((interval - 1,), discount=0.0, adapts=True, newest=True)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        place = list(moment.names).index(self.learned[0])
        h, newest = measured.h[-1, place], measured.newest[-1, place]
        if not np.isfinite([h, newest]).all():  # no step is taken, and nothing learned of it
            return Estimate(np.full(len(moment.names), np.nan), memory=moment.memory)
        before = float(moment.memory.get("h", 0.0))
        mu = float(np.clip(before / newest, 0.0, 1.0)) if newest else 0.0
        rate = self.meta_rate
        if self.alpha is not None:
            rate = max(float(moment.memory.get("rate", 0.0)) + self.alpha * h * before, 0.0)
        step = np.zeros(len(moment.names))
        step[place] = h * rate / self.meta_rate
        memory = {"discount": np.array(mu), "h": np.array(h), "rate": np.array(rate)}
        return Estimate(step, {"mu": mu, "meta_rate": rate}, memory=memory)
