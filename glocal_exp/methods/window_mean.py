"""The mean of the window: the simplest estimate that sees what glocal sees."""

from dataclasses import dataclass

from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted, last_of


@dataclass(frozen=True)
class WindowMean(Method):
    """Steps along the mean of every `stride`-th of the last `window` hypergradients."""

    window: int
    stride: int

    def wanted(self, interval: int) -> Wanted:
        return Wanted(last_of(self.window, self.stride, interval))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(measured.h.mean(axis=0))
