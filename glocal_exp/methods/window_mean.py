"""The mean of the window: the simplest estimate that sees what glocal sees."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from glocal_exp.methods.method import Estimate, Greedy, Memory, Moment, last_of


@dataclass(frozen=True)
class WindowMean(Greedy):
    """Steps along the mean of every `stride`-th of the last `window` hypergradients."""

    window: int
    stride: int

    def record(self, interval: int) -> range:
        return last_of(self.window, self.stride, interval)

    def estimate(
        self, h: Float[np.ndarray, "n q"], moment: Moment, memory: Memory
    ) -> tuple[Estimate, Memory]:
        return Estimate(h.mean(axis=0)), memory
