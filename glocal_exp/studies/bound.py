"""Theorem 3.1 term by term, where the true operator is known.

With N = T - s tau, U the modes of DMD and b_j their amplitudes at s tau, the paper states (Eq. 15)

    |h_T - h_inf| <= |U| |U^-1| (|e_tau| + N eps_tau)
                     + sum_{|lambda_j| < 1} |b_j| |lambda_j|^tau |u_j|

and proves it by way of h_hat_T = sum_j b_j lambda_j^N u_j (Eqs. 16 and 17). What the same steps do
prove is `proven`: from d_t = g_t - ghat_t follows d_{t+1} = K d_t + (Kbar - K) g_t - f_t, so

    |d_T| <= |U| |U^-1| r^N (|d_{s tau}| + sum_{t = s tau}^{T-1} |(Kbar - K) g_t - f_t|),

r = max(1, spectral radius of K), with f_t and g_t of the steps to come, and

    |h_hat_T - h_inf| <= sum_{kept} |b_j| |lambda_j^N - 1| |u_j|
                         + sum_{others} |b_j| |lambda_j|^N |u_j|.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from glocal_exp.koopman import HankelDMD
from glocal_exp.koopman.hankel import delay_embedding


@dataclass(frozen=True)
class Terms:
    """Both sides of Theorem 3.1 and what they are made of; norms are Euclidean.

    Attributes:
        left: |h_T - h_inf|.
        left_prediction, left_limit: |h_T - h_hat_T| (Eq. 16) and |h_hat_T - h_inf| (Eq. 17).
        condition: |U| |U^-1| of modes scaled to norm 1 (the bound depends on their scale), with
            the pseudoinverse where U is not square.
        residual: |e_tau|, of hypergradients as the paper defines it.
        residual_embedded: the same of whole snapshots g, from which the proof needs it.
        operator_gap: |Kbar - K|; its square is the smallest admissible c_tau.
        epsilon: eps_tau (Eq. 18).
        local_error: the largest |(Kbar - K) g_t - f_t| of the steps to come, which eps_tau is
            meant to bound; 0 if there are none.
        transient: the sum over |lambda_j| < 1 with the power tau, of modes that h_inf leaves out.
        radius: spectral radius of K.
        right: the right side of Eq. 15.
        right_prediction: that of Eq. 16.
        proven: the bound of this module's docstring.
    """

    left: float
    left_prediction: float
    left_limit: float
    condition: float
    residual: float
    residual_embedded: float
    operator_gap: float
    epsilon: float
    local_error: float
    transient: float
    radius: float
    right: float
    right_prediction: float
    proven: float


# Where a mode grows, its powers over a long horizon may leave the range of float64.
@np.errstate(over="ignore", invalid="ignore")
def terms(
    trajectory: Float[np.ndarray, "steps q"],
    operator: Float[np.ndarray, "mq mq"],
    interval: int,
    horizon: int,
    *,
    delays: int = 1,
    unit_tolerance: float = 0.02,
    amplitudes: str = "newest",
    dmd: HankelDMD | None = None,
) -> Terms:
    """Evaluate Theorem 3.1 for one interval, the first `interval` rows of a trajectory.

    With delays, the last snapshot that the interval holds is g of its row interval - m + 1; it
    stands for s tau, and the horizon is counted on from its last row.

    Args:
        trajectory: h_1, h_2, ...: at least interval + horizon + m rows, those to come included.
        operator: Kbar.
        interval: tau.
        horizon: T - s tau.
        delays: m.
        unit_tolerance: modes with |lambda_j - 1| up to this make h_inf.
        amplitudes: "newest" takes b from K g(h_{s tau - 1}), as e_tau does; "first" fits it to
            the first snapshot and lets the modes run, as DMD does.
        dmd: least squares of full rank by default, as in Eq. 10.
    """
    size = trajectory.shape[1]
    dmd = dmd or HankelDMD()
    spectrum = dmd.fit(trajectory[:interval], delays)
    snapshots = delay_embedding(trajectory, delays)
    last, steps = spectrum.snapshots - 1, horizon + delays - 1
    fitted = _operator(snapshots[:, : last + 1], dmd.rank_tolerance)
    sizes = np.linalg.norm(spectrum.modes, axis=0)
    eigenvalues, modes = spectrum.eigenvalues, spectrum.modes / sizes
    inverse, predicted = np.linalg.pinv(modes), fitted @ snapshots[:, last - 1]
    first = spectrum.amplitudes * sizes * eigenvalues**last
    b = first if amplitudes == "first" else inverse @ predicted

    final = snapshots[:size, last + steps]
    kept = np.abs(eigenvalues - 1) <= unit_tolerance
    moduli, lengths = np.abs(eigenvalues), np.abs(b)  # |u_j| = 1
    limit = np.real(modes[:size, kept] @ b[kept])
    estimate = np.real(modes[:size] @ (b * eigenvalues**steps))

    condition = float(np.linalg.norm(modes, 2) * np.linalg.norm(inverse, 2))
    forcing = operator @ snapshots[:, :-1] - snapshots[:, 1:]
    gap = float(np.linalg.norm(operator - fitted, 2))
    residual = snapshots[:, last] - predicted
    within = np.sum(snapshots[:, 0] ** 2) + np.sum(forcing[:, : last + 1] ** 2)
    epsilon = gap * float(np.sqrt(within))
    transient = float(np.sum((lengths * moduli**interval)[(moduli < 1) & ~kept]))
    right_prediction = condition * (_norm(residual[:size]) + steps * epsilon)

    ahead = slice(last, last + steps)
    local = (operator - fitted) @ snapshots[:, ahead] - forcing[:, ahead]
    start = snapshots[:, last] - np.real(modes @ b)
    radius = spectrum.spectral_radius
    local_errors = np.linalg.norm(local, axis=0)
    errors = _norm(start) + float(np.sum(local_errors))
    moved = np.where(kept, np.abs(eigenvalues**steps - 1), moduli**steps)
    return Terms(
        left=_norm(final - limit),
        left_prediction=_norm(final - estimate),
        left_limit=_norm(estimate - limit),
        condition=condition,
        residual=_norm(residual[:size]),
        residual_embedded=_norm(residual),
        operator_gap=gap,
        epsilon=epsilon,
        local_error=float(np.max(local_errors, initial=0.0)),
        transient=transient,
        radius=radius,
        right=right_prediction + transient,
        right_prediction=right_prediction,
        proven=condition * max(1.0, radius) ** steps * errors + float(np.sum(lengths * moved)),
    )


def _operator(snapshots: Float[np.ndarray, "mq n"], tolerance: float) -> Float[np.ndarray, "mq mq"]:
    """K of Eq. 10: the least-squares transition of least norm."""
    return snapshots[:, 1:] @ np.linalg.pinv(snapshots[:, :-1], rcond=tolerance)


def _norm(vector: Float[np.ndarray, " n"]) -> float:
    norm = float(np.linalg.norm(vector))
    return norm if np.isfinite(norm) else np.inf
