"""Time delays: the observable g(h_t) = [h_t; h_{t+1}; ...; h_{t+m-1}] of Hankel DMD."""

import numpy as np
from jaxtyping import Shaped

from glocal_exp.errors import UserError
from glocal_exp.koopman.arrays import Snapshots


def delay_embedding(trajectory: Shaped[np.ndarray, "..."], delays: int) -> Snapshots:
    """Stack `delays` consecutive rows of a trajectory into each column.

    From sigma rows of q numbers: column k holds h_k, h_{k+1}, ..., h_{k+m-1} (0-based), one below
    the other, so n = sigma - m + 1 (Section 4, "Implementation"; Arbabi & Mezic 2017).

    Raises:
        UserError: the trajectory is not a matrix, or delays do not leave two columns, which is the
            least from which a transition can be fitted.
    """
    if trajectory.ndim != 2 or trajectory.shape[1] == 0:
        raise UserError(
            f"A trajectory of hypergradients has shape (steps, hyperparameters), "
            f"not {trajectory.shape}: give it one row per step."
        )
    steps, size = trajectory.shape
    if not 1 <= delays < steps:
        raise UserError(
            f"{delays} delays do not fit into {steps} hypergradients: choose a number of delays "
            f"of at least 1 and below the length of the window."
        )
    trajectory = np.ascontiguousarray(trajectory, dtype=np.float64)
    # In row-major order, m consecutive rows are m * q consecutive numbers.
    windows = np.lib.stride_tricks.sliding_window_view(trajectory.reshape(-1), delays * size)
    # Copied, since overlapping columns would keep BLAS away; in the column order that LAPACK uses.
    return np.ascontiguousarray(windows[::size]).T
