"""Means with t intervals, differences paired by seed, and exponents of power laws."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Interval(NamedTuple):
    """A number with the bounds of its t interval, NaN where it has no degrees of freedom."""

    value: float
    low: float
    high: float


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of independent values; a NaN makes it NaN.

    Raises:
        ValueError: there is no value.
    """
    array = np.asarray(values, np.float64)
    if not array.size:
        raise ValueError("no values to summarise")
    mean = float(array.mean())
    error = stats.sem(array) if array.size > 1 else np.nan
    if error == 0:
        return Interval(mean, mean, mean)
    return Interval(mean, *map(float, stats.t.interval(confidence, array.size - 1, mean, error)))


def p_value(values: ArrayLike) -> float:
    """Two-sided, of a t test that the mean is 0; NaN where there are no degrees of freedom."""
    array = np.asarray(values, np.float64)
    if array.size < 2:
        return np.nan
    if np.ptp(array) == 0:
        return float(array[0] == 0)
    test: Any = stats.ttest_1samp(array, 0.0)
    return float(test.pvalue)


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """First minus second, by the seeds that both have: the same start and the same batches."""
    return [first[seed] - second[seed] for seed in sorted(set(first) & set(second))]


def log_log_slope(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Interval:
    """The exponent a of y = c x^a by least squares of the logarithms.

    Raises:
        ValueError: all x are the same.
    """
    logs, values = np.log(np.asarray(x, np.float64)), np.log(np.asarray(y, np.float64))
    fit: Any = stats.linregress(logs, values)
    degrees = len(logs) - 2
    # Not fit.stderr, which is from 1 - r^2 and loses half its digits on an exact power law.
    left = values - fit.intercept - fit.slope * logs
    error = np.std(left) / np.std(logs) / np.sqrt(max(degrees, 1))
    half = stats.t.ppf(0.5 + confidence / 2, degrees) * error
    return Interval(*map(float, (fit.slope, fit.slope - half, fit.slope + half)))
