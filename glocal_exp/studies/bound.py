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

By numbers, for one hypergradient that should halve at each step, seen at tau = 3 steps, one before
the end. The second time it does not, so f_2 = 1/2 h_2 - h_3 = -1 and K is too large:

>>> h, halve = np.array([[4.0], [2.0], [2.0], [1.0]]), np.array([[0.5]])
>>> bound = terms(h, halve, interval=3, horizon=1)

- K = (4 2 + 2 2) / (4^2 + 2^2) = 0.6 is the mode too; it is a transient, so that h_inf = 0.
- b = K h_2 = 1.2 stands where h_3 = 2 is, and h_hat_T = 1.2 0.6 = 0.72 where h_T = 1 is.
- |e_tau| = 2 - 1.2, and eps_tau = |Kbar - K| (h_1^2 + f_2^2)^(1/2) = 0.1 17^(1/2).
- Of the step to come, (Kbar - K) h_3 - f_3 = -0.1 2 - 0, within eps_tau.

>>> for name in ("radius", "left", "left_prediction", "left_limit", "residual"):
...     print(name, round(getattr(bound, name), 6))
radius 0.6
left 1.0
left_prediction 0.28
left_limit 0.72
residual 0.8
>>> print(round(bound.epsilon / 17**0.5, 6), round(bound.local_error, 6))
0.1 0.2

Eq. 15 has 0.8 + 0.1 17^(1/2) + 1.2 0.6^3 on its right, what is proven 0.8 + 0.2 + 1.2 0.6:

>>> print(round(bound.right - 0.1 * 17**0.5, 6), round(bound.proven, 6))
1.0592 1.72
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from glocal_exp.koopman import HankelDMD
from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.studies.linear import finite


@dataclass(frozen=True)
class Terms:
    """Both sides of Theorem 3.1 and what they are made of; norms are Euclidean."""

    left: float  # |h_T - h_inf|
    left_prediction: float  # |h_T - h_hat_T|, of Eq. 16
    left_limit: float  # |h_hat_T - h_inf|, of Eq. 17
    # |U| |U^-1| of modes scaled to norm 1 (the bound depends on their scale), with the
    # pseudoinverse where U is not square.
    condition: float
    residual: float  # |e_tau|, of hypergradients as the paper defines it
    residual_embedded: float  # the same of whole snapshots g, from which the proof needs it
    operator_gap: float  # |Kbar - K|; its square is the smallest admissible c_tau
    epsilon: float  # eps_tau (Eq. 18)
    # The largest |(Kbar - K) g_t - f_t| of the steps to come, which eps_tau is meant to bound; 0 if
    # there are none.
    local_error: float
    transient: float  # the sum over |lambda_j| < 1, power tau, of modes that h_inf leaves out
    radius: float  # spectral radius of K
    right: float  # the right side of Eq. 15
    right_prediction: float  # that of Eq. 16
    proven: float  # the bound of this module's docstring


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
    """
    size = trajectory.shape[1]
    dmd = HankelDMD()  # least squares of full rank, as in Eq. 10
    spectrum = dmd.fit(trajectory[:interval], delays)
    g = delay_embedding(trajectory, delays)
    now, steps = spectrum.snapshots - 1, horizon + delays - 1  # s tau, and N from there
    ahead = slice(now, now + steps)
    # K of Eq. 10: the least-squares transition of least norm
    fitted = g[:, 1 : now + 1] @ np.linalg.pinv(g[:, :now], rcond=dmd.rank_tolerance)
    predicted = fitted @ g[:, now - 1]

    scales = np.linalg.norm(spectrum.modes, axis=0)
    eigenvalues, modes = spectrum.eigenvalues, spectrum.modes / scales
    moduli, inverse = np.abs(eigenvalues), np.linalg.pinv(modes)
    first = spectrum.amplitudes * scales * eigenvalues**now
    b = first if amplitudes == "first" else inverse @ predicted
    shares = np.abs(b)  # |b_j| |u_j|
    kept = np.abs(eigenvalues - 1) <= unit_tolerance

    end = g[:size, now + steps]
    estimate = np.real(modes[:size] @ (b * eigenvalues**steps))
    limit = np.real(modes[:size, kept] @ b[kept])

    forcing = operator @ g[:, :-1] - g[:, 1:]  # f_t
    gap = float(np.linalg.norm(operator - fitted, 2))
    epsilon = gap * float(np.sqrt(np.sum(g[:, 0] ** 2) + np.sum(forcing[:, : now + 1] ** 2)))
    residual = g[:, now] - predicted
    condition = float(np.linalg.norm(modes, 2) * np.linalg.norm(inverse, 2))
    transient = float(np.sum((shares * moduli**interval)[(moduli < 1) & ~kept]))
    right_prediction = condition * (_norm(residual[:size]) + steps * epsilon)

    local_errors = np.linalg.norm((operator - fitted) @ g[:, ahead] - forcing[:, ahead], axis=0)
    errors = _norm(g[:, now] - np.real(modes @ b)) + float(np.sum(local_errors))
    growth = max(1.0, spectrum.spectral_radius) ** steps
    moved = np.where(kept, np.abs(eigenvalues**steps - 1), moduli**steps)
    return Terms(
        left=_norm(end - limit),
        left_prediction=_norm(end - estimate),
        left_limit=_norm(estimate - limit),
        condition=condition,
        residual=_norm(residual[:size]),
        residual_embedded=_norm(residual),
        operator_gap=gap,
        epsilon=epsilon,
        local_error=float(np.max(local_errors, initial=0.0)),
        transient=transient,
        radius=spectrum.spectral_radius,
        right=right_prediction + transient,
        right_prediction=right_prediction,
        proven=condition * growth * errors + float(np.sum(shares * moved)),
    )


def _norm(vector: Float[np.ndarray, " n"]) -> float:
    return finite(np.linalg.norm(vector))
