"""Forward-mode differentiation with sharing (FDS): schedules learned by whole trainings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment


@dataclass(frozen=True)
class FDS(Method):
    """Micaelli and Storkey 2021: steps along signs of h_T, one a training, from the same start.

    Each hyperparameter has `periods` values, one after another, each shared by all steps of its
    period; h_T is that of the validation loss after the whole training. With s the sign of a
    value's h_T, whose size does not matter, and gamma its own step size,

        gamma <- decay gamma if s is opposite to the sign before,        value <- value - gamma s,

    as the authors' code has it (github.com/polo5/FDS). An outer step is a training of `steps`
    steps, and there are steps / interval of them; the paper has ten. Here they share their initial
    parameters and their batches, which the paper draws anew, and neither gradients nor Hessian
    products are clipped. Any hyperparameters can be learned; forward mode's cost grows with their
    values, reverse mode's does not.
    """

    keeps: ClassVar[int] = 0

    periods: Mapping[str, int]  # values in a training, by hyperparameter; 1 of those not named
    # first step sizes, by hyperparameter, in unconstrained units, which are the paper's where the
    # task's transform is `identity`; what is not named stays
    sizes: Mapping[str, float]
    decay: float  # of a step size when its sign changes
    meta_rate: float  # the meta optimizer's, which has to be plain gradient descent

    def __post_init__(self):
        for name, count in self.periods.items():
            if not isinstance(count, int) or count < 1:
                raise UserError(
                    f"method.periods.{name}={count} is not a whole number of at least 1."
                )
        for name, size in {"decay": self.decay, "meta_rate": self.meta_rate, **self.sizes}.items():
            if not size > 0:
                where = f"sizes.{name}" if name in self.sizes else name
                raise UserError(f"method.{where}={size} is not above 0.")

    def chosen(self) -> Mapping[str, Iterable[str]]:
        return {"periods": self.periods, "sizes": self.sizes}

    def check(self, names: Sequence[str]) -> None:
        super().check(list(dict.fromkeys(_hyperparameter(name) for name in names)))

    def schedule(self) -> Mapping[str, int]:
        return self.periods

    def intervals_ahead(self, outer_step: int, outer_steps: int) -> int:
        return outer_steps - 1

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        sign = np.nan_to_num(np.sign(measured.h[-1]))  # the authors': no step along a NaN
        first = np.array([self.sizes.get(_hyperparameter(name), 0.0) for name in moment.names])
        sizes = moment.memory.get("sizes", first)
        before = moment.memory.get("signs", np.zeros_like(sign))
        sizes = np.where(sign * before < 0, self.decay * sizes, sizes)
        memory = {"sizes": sizes, "signs": sign}
        return Estimate(sign * sizes / self.meta_rate, memory=memory)


def _hyperparameter(name: str) -> str:
    """Whose value it is: `learning_rate` of `learning_rate[3]`."""
    return name.partition("[")[0]
