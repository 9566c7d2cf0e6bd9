"""No hyperparameter optimization: plain training."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from glocal_exp.methods.method import Estimate, Greedy, Memory, Moment


@dataclass(frozen=True)
class NoHPO(Greedy):
    """Trains with the starting hyperparameters; carries no tangents."""

    def record(self, interval: int) -> range:
        return range(0)

    def estimate(
        self, h: Float[np.ndarray, "n q"], moment: Moment, memory: Memory
    ) -> tuple[Estimate, Memory]:
        return Estimate(None), memory
