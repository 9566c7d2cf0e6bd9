"""No hyperparameter optimization: plain training."""

from dataclasses import dataclass

from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted


@dataclass(frozen=True)
class NoHPO(Method):
    """Trains with the starting hyperparameters; nothing is measured."""

    def wanted(self, interval: int) -> Wanted:
        return Wanted()

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(None)
