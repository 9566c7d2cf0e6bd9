"""The hypergradient at the mean of the window's iterates, where less of the noise is."""

from dataclasses import dataclass

from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted, last_of


@dataclass(frozen=True)
class MeanIterate(Method):
    """Steps along h at the mean of the last `window` parameters (Polyak and Juditsky 1992).

    Its tangents are the mean of theirs; one gradient of the meta loss an interval.
    """

    window: int  # iterates that are averaged

    def wanted(self, interval: int) -> Wanted:
        return Wanted(mean=len(last_of(self.window, 1, interval)))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(measured.mean + measured.mean_direct)
