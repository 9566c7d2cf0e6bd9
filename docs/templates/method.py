"""A template: the median of the window's hypergradients (glocal_exp/methods/<id>.py)."""

from dataclasses import dataclass

import numpy as np

from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted, last_of


@dataclass(frozen=True)
class WindowMedian(Method):
    """Steps along the median, which a single outlier does not move.

    Fields are config values; `method.window=40` on the command line sets this one.

    Attributes:
        window: hypergradients that count, in training steps.
    """

    window: int

    def wanted(self, interval: int) -> Wanted:
        """What to measure; the default, without this function, is the interval's last h alone."""
        return Wanted(steps=last_of(self.window, 1, interval))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        """What to make of it: `measured.h` has a row for each step wanted, q columns, float64.

        What is returned are q numbers too, a gradient of the meta loss: the meta optimizer goes
        against it.
        """
        spread = float(np.ptp(measured.h, axis=0).max())
        # Diagnostics are recorded every interval. What should be remembered until the next one goes
        # into `Estimate(memory=...)` and comes back as `moment.memory`.
        return Estimate(np.median(measured.h, axis=0), diagnostics={"spread": spread})
