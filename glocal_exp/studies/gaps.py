"""Where Theorem 3.1 or a step of its proof fails: one small system for each, computed."""

from collections.abc import Iterator

import numpy as np

from glocal_exp.studies.bound import Terms, terms
from glocal_exp.studies.lab import Row
from glocal_exp.studies.linear import LinearSystem

INTERVAL = 10


def gaps() -> Iterator[Row]:
    """One row a gap: its `name`, the `claim` "left <= right", the `system`, and both sides."""
    # Eq. 17 bounds |lambda|^(T - s tau) by |lambda|^tau, which is smaller where T = s tau.
    bound = _terms(np.diag([1.0, 0.9]), [1.0, 1.0], horizon=0)
    system = "eigenvalues 1 and 0.9, no noise, tau = 10, T = s tau"
    yield _row("last interval", "Eq. 15", system, bound.left, bound.right)

    # Eq. 14 drops |lambda| = 1, lambda != 1, and Eq. 17 sums |lambda| < 1: this is in neither.
    bound = _terms(np.diag([1.0, -1.0]), [1.0, 1.0], 2 * INTERVAL)
    system = "eigenvalues 1 and -1, no noise, tau = 10, T - s tau = 20"
    yield _row("oscillation", "Eq. 15", system, bound.left, bound.right)

    # One measurement that is 2 % off per step of the window lifts K above 1: h_inf is then 0.
    trajectory = np.ones((3 * INTERVAL, 1))
    trajectory[INTERVAL - 1] *= 1.25
    bound = terms(trajectory, np.eye(1), INTERVAL, INTERVAL)
    system = "h = 1, the last of tau = 10 measured as 1.25, so that K = 1.028; T - s tau = 10"
    yield _row("spectral radius above 1", "Eq. 15", system, bound.left, bound.right)

    # Eq. 18 sums f_t up to tau; what K does not describe after that moves h_T all the same.
    shocks = np.zeros((5 * INTERVAL, 2))
    shocks[INTERVAL:, 0] = 0.01
    bound = _terms(np.diag([1.0, 0.5]), [1.0, 1.0], 3 * INTERVAL, shocks)
    system = "eigenvalues 1 and 0.5, a drift of 0.01 a step from tau = 10 on, T - s tau = 30"
    yield _row("forcing after the window", "Eq. 15", system, bound.left, bound.right)

    # Eq. 18 has |h_1| for every later |h_t|, as if powers of a radius of 1 could not grow.
    shocks = 1e-3 * np.random.default_rng(0).standard_normal((30 * INTERVAL, 2))
    shocks[INTERVAL:] = 0
    bound = _terms(np.array([[1.0, 1.0], [0.0, 0.99]]), [0.0, 1.0], 20 * INTERVAL, shocks)
    claim = "|(Kbar - K) h_t - f_t| <= eps_tau"
    system = "[[1, 1], [0, 0.99]] from h = (0, 1), noise of 0.001 up to tau = 10"
    yield _row("transient growth", claim, system, bound.local_error, bound.epsilon)

    # h_{t+1} is a part of g(h_t), so that K returns it as it is and e_tau is zero whatever h.
    trajectory = np.random.default_rng(0).standard_normal((5 * INTERVAL, 2))
    bound = terms(trajectory, np.eye(6), 3 * INTERVAL, INTERVAL, delays=3)
    claim, system = "one-step error of g <= |e_tau|", "white noise, q = 2, m = 3 delays, tau = 30"
    yield _row("delays hide the residual", claim, system, bound.residual_embedded, bound.residual)


def _row(name: str, claim: str, system: str, left: float, right: float) -> Row:
    return {"name": name, "claim": claim, "system": system, "left": left, "right": right}


def _terms(
    transition: np.ndarray, start: list[float], horizon: int, shocks: np.ndarray | None = None
) -> Terms:
    known = LinearSystem(transition, np.eye(len(start)), np.array(start))
    trajectory = known.trajectory(INTERVAL + horizon + 2, shocks)
    return terms(trajectory, known.operator(1), INTERVAL, horizon)
