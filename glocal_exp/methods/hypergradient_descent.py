"""Hypergradient descent: how the last step's learning rate moves the next training loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class HypergradientDescent(Method):
    """Baydin et al. 2018: steps along d L_{t+1}(theta_{t+1}) / d alpha_t, whatever the optimizer.

    With SGD that is the product of two successive gradients, with a minus. The paper updates after
    every step, as with interval=1; in longer intervals these are added up. Nothing of the past
    counts, and no validation data.

    The multiplicative rule of the paper, alpha_t = alpha_{t-1} (1 - beta' c_t), takes for c_t the
    cosine of the angle between the next gradient and d theta / d alpha. It is given to a meta
    optimizer that descends at the rate beta' what it is on a logarithmic scale, so it is exact
    where the task's transform is `exp`; where it is `sigmoid` the odds alpha / (1 - alpha) are
    multiplied instead.
    """

    learned: Sequence[str]  # the paper's rule is for the learning rate; what is not named stays
    rule: Literal["additive", "multiplicative"] = "additive"  # how alpha moves
    meta_rate: float = 0.1  # beta' of the multiplicative rule

    def __post_init__(self):
        if self.rule not in ("additive", "multiplicative"):
            raise UserError(f"method.rule is {self.rule!r}; choose additive or multiplicative.")
        if self.rule == "multiplicative" and not 0 < self.meta_rate < 1:
            raise UserError(
                f"method.meta_rate={self.meta_rate} is not between 0 and 1, and the multiplicative "
                "rule could make a learning rate negative; lower meta_optimizer.learning_rate."
            )

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned}

    def wanted(self, interval: int) -> Wanted:
        sizes = self.rule == "multiplicative"
        return Wanted(training=range(interval), discount=0.0, sizes=sizes)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        moves = np.isin(moment.names, list(self.learned))
        if self.rule == "additive":
            return Estimate(np.where(moves, measured.training.sum(axis=0), 0.0))
        products, sizes = measured.training[:, moves], measured.sizes[:, moves]
        cosine = np.divide(products, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        h = np.zeros(len(moves))
        h[moves] = -np.log1p(-self.meta_rate * cosine).sum(axis=0) / self.meta_rate
        return Estimate(h)
