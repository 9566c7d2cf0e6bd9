"""The local hypergradient: h at the end of the interval (Eq. 6)."""

from dataclasses import dataclass
from typing import Literal

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class Local(Method):
    """Steps along h_tau.

    Attributes:
        evaluate: `last` evaluates h_tau alone; `every` evaluates all tau of them, which is what
            the paper's run times suggest, and uses the last.
    """

    evaluate: Literal["last", "every"] = "last"

    def __post_init__(self):
        if self.evaluate not in ("last", "every"):
            raise UserError(f"method.evaluate is {self.evaluate!r}; choose last or every.")

    def wanted(self, interval: int) -> Wanted:
        return Wanted(range(interval - 1 if self.evaluate == "last" else 0, interval))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(measured.h[-1])
