"""How many singular values of the snapshots are signal: the truncation of step 2 of Hankel DMD."""

import math

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.koopman.arrays import SingularValues

RankRule = str | int | float


def check_rank_rule(rule: object) -> None:
    """Accept "full", "hard_threshold", an int of at least 1, or an energy share between 0 and 1.

    Raises:
        UserError: it is none of them.
    """
    whole = isinstance(rule, int) and not isinstance(rule, bool) and rule >= 1
    share = isinstance(rule, float) and 0 < rule < 1
    if not (whole or share or rule in ("full", "hard_threshold")):
        raise UserError(
            f"The rank of the DMD is 'full', 'hard_threshold', a whole number of at least 1, or a "
            f"share of energy between 0 and 1, not {rule!r}: choose one of these."
        )


def select_rank(
    singular_values: SingularValues, shape: tuple[int, int], rule: RankRule, tolerance: float | int
) -> int:
    """Number of leading singular values of a matrix of `shape` to keep; 0 only if all are zero.

    Every rule stays within the numerical rank, the number of singular values above `tolerance`
    (at least the machine precision) times the largest: below it, S^-1 amplifies rounding errors.

    Args:
        singular_values: in descending order, all min(shape) of them.
        shape: rows and columns of the matrix.
        rule: "full": the numerical rank; an int: that many; a float in (0, 1): the fewest whose
            squares make up that share of the sum of squares; "hard_threshold": those above
            `hard_threshold_coefficient` times the median, the rule of Gavish & Donoho (2014) for
            white noise of unknown level (at least one is kept).
        tolerance: relative to the largest singular value.
    """
    floor = max(tolerance, float(np.finfo(np.float64).eps)) * singular_values[0]
    numerical_rank = int(np.count_nonzero(singular_values > floor))
    if numerical_rank == 0 or rule == "full":
        return numerical_rank
    if rule == "hard_threshold":
        coefficient = hard_threshold_coefficient(min(shape) / max(shape))
        threshold = coefficient * float(np.median(singular_values))
        wanted = max(1, int(np.count_nonzero(singular_values > threshold)))
    elif isinstance(rule, int):
        wanted = rule
    else:
        energies = np.cumsum((singular_values / singular_values[0]) ** 2)
        wanted = int(np.searchsorted(energies, float(rule) * energies[-1])) + 1
    return min(wanted, numerical_rank)


def hard_threshold_coefficient(beta: float) -> float:
    """omega(beta), the optimal threshold in units of the median singular value.

    For white noise of unknown level in a matrix whose short side is `beta` times its long side,
    0 < beta <= 1: omega(beta) = lambda_*(beta) / sqrt(mu_beta) with mu_beta the median of the
    Marchenko-Pastur law (Gavish & Donoho 2014, Eqs. 11 and 5). omega(1) = 2.858.
    """
    known_noise = math.sqrt(
        2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1))
    )
    return known_noise / math.sqrt(marchenko_pastur_median(beta))


def marchenko_pastur_median(beta: float) -> float:
    """Median of the Marchenko-Pastur law with ratio 0 < beta <= 1 and unit variance."""
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    # Bisection: the distribution function rises from 0 to 1, and 60 halvings exhaust float64.
    for _ in range(60):
        middle = (low + high) / 2
        below = _marchenko_pastur_cdf(middle, beta) < 0.5
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def _marchenko_pastur_cdf(x: float, beta: float) -> float:
    """Integral of sqrt((b - t)(t - a)) / (2 pi beta t) from a to x, in closed form."""
    a, b = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    if not a < x < b:
        return 0.0 if x <= a else 1.0
    ratio = (b - x) / (x - a)
    root = math.sqrt(ratio)
    total = math.pi * beta + math.sqrt((b - x) * (x - a))
    total -= (1 + beta) * math.atan((ratio - 1) / (2 * root))
    if beta < 1:
        total += (1 - beta) * math.atan((a * ratio - b) / (2 * (1 - beta) * root))
    return total / (2 * math.pi * beta)
