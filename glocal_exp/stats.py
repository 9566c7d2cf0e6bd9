"""Means over seeds, their t intervals, and differences paired by seed."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import stdtrit


@dataclass(frozen=True)
class Summary:
    """n values along a seed axis, summarised; arrays keep the other axes, `...`.

    Attributes:
        count: n.
        mean: arithmetic mean.
        deviation: sample standard deviation (n - 1); NaN for n < 2.
        standard_error: deviation / sqrt(n).
        low, high: t confidence interval of the mean; NaN for n < 2.
        minimum, maximum: over the seeds.
        confidence: the interval's level.
    """

    count: int
    mean: Float[np.ndarray, "..."]
    deviation: Float[np.ndarray, "..."]
    standard_error: Float[np.ndarray, "..."]
    low: Float[np.ndarray, "..."]
    high: Float[np.ndarray, "..."]
    minimum: Float[np.ndarray, "..."]
    maximum: Float[np.ndarray, "..."]
    confidence: float


def t_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t distribution."""
    return float(stdtrit(degrees, probability))


def summarize(values: ArrayLike, confidence: float = 0.95) -> Summary:
    """Summarise `values` over their first axis, the seeds; a NaN makes its summary NaN.

    Raises:
        ValueError: there is no value, or the confidence is not inside (0, 1).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError("no values to summarise")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not inside (0, 1)")
    count = array.shape[0]
    mean = array.mean(axis=0)
    if count > 1:
        deviation = array.std(axis=0, ddof=1)
        error = deviation / np.sqrt(count)
        half = t_quantile(0.5 + confidence / 2, count - 1) * error
    else:
        deviation = error = half = np.full_like(mean, np.nan)
    return Summary(
        count=count,
        mean=mean,
        deviation=np.asarray(deviation),
        standard_error=np.asarray(error),
        low=np.asarray(mean - half),
        high=np.asarray(mean + half),
        minimum=array.min(axis=0),
        maximum=array.max(axis=0),
        confidence=confidence,
    )


@dataclass(frozen=True)
class PairedDifference:
    """First minus second over the keys (seeds) that both have.

    Attributes:
        keys: the seeds compared, sorted.
        differences: one a key.
        summary: of the differences; None when no key is shared.
    """

    keys: tuple[Hashable, ...]
    differences: Float[np.ndarray, "n"]
    summary: Summary | None


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95
) -> PairedDifference:
    """Compare two methods seed by seed: the same seed is the same start and the same batches."""
    keys = tuple(sorted(set(first) & set(second)))
    differences = np.array([float(first[key]) - float(second[key]) for key in keys])
    return PairedDifference(keys, differences, summarize(differences, confidence) if keys else None)


@dataclass(frozen=True)
class Slope:
    """The exponent of a power law, with its t interval; without bounds (NaN) for two points."""

    value: float
    low: float
    high: float


def log_log_slope(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Slope:
    """The exponent a of y = c x^a by least squares of the logarithms.

    Raises:
        ValueError: all x are the same.
    """
    logs, values = np.log(np.asarray(x, np.float64)), np.log(np.asarray(y, np.float64))
    centred = logs - logs.mean()
    power = float(np.sum(centred**2))
    if power == 0:
        raise ValueError("one size alone has no slope")
    slope = float(centred @ values) / power
    degrees = len(logs) - 2
    if degrees < 1:
        return Slope(slope, float("nan"), float("nan"))
    left = values - values.mean() - slope * centred
    half = t_quantile(0.5 + confidence / 2, degrees) * np.sqrt(np.sum(left**2) / degrees / power)
    return Slope(slope, slope - float(half), slope + float(half))
