"""The implicit hypergradient: as if each interval had ended at a minimum of the training loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted

OPTIMIZERS = ("learning_rate", "momentum", "b1", "b2", "decay", "eps")
"""Hyperparameters that say how a minimum is reached, not where it is; names of optax."""


@dataclass(frozen=True)
class Implicit(Method):
    """Lorraine et al. 2020, Hataya and Yamada 2023: h at the interval's end by its curvature alone.

    For hyperparameters that the training loss itself has. Which approximation, the mode says.

    Attributes:
        learned: hyperparameters of the training loss; what is not named stays; all if None.
    """

    learned: Sequence[str] | None = None

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"learned": self.learned or ()}

    def check(self, names: Sequence[str]) -> None:
        super().check(names)
        asked = names if self.learned is None else self.learned
        if without := [name for name in asked if name in OPTIMIZERS]:
            raise UserError(
                f"No minimum of the training loss depends on {', '.join(without)}, so the implicit "
                "hypergradient is for others: name hyperparameters of the loss in method.learned, "
                "such as [weight_decay]."
            )

    def wanted(self, interval: int) -> Wanted:
        return Wanted(implicit=True)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        if self.learned is None:
            return Estimate(measured.implicit)
        moves = np.isin(moment.names, list(self.learned))
        return Estimate(np.where(moves, measured.implicit, 0.0))
