"""Oracles: closed forms of Student's t for 1, 2 and 4 degrees of freedom; SciPy's interval."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from glocal_exp.stats import log_log_slope, paired_difference, summarize, t_quantile


@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.999])
def test_t_quantiles_have_closed_forms(probability):
    odds = 4 * probability * (1 - probability)
    cauchy = np.tan(np.pi * (probability - 0.5))
    two = (2 * probability - 1) * np.sqrt(2 / odds)
    four = 2 * np.sqrt(np.cos(np.arccos(np.sqrt(odds)) / 3) / np.sqrt(odds) - 1)
    found = [t_quantile(probability, degrees) for degrees in (1, 2, 4)]
    np.testing.assert_allclose(found, [cauchy, two, four], rtol=1e-10)


def test_summary_of_three_seeds_by_hand():
    summary = summarize([1.0, 2.0, 6.0])
    # mean 3, deviations -2 -1 3: variance 14 / 2 = 7, standard error sqrt(7 / 3)
    assert summary.count == 3
    assert summary.mean == 3.0
    assert summary.deviation == pytest.approx(np.sqrt(7), rel=1e-14)
    assert summary.standard_error == pytest.approx(np.sqrt(7 / 3), rel=1e-14)
    assert (summary.minimum, summary.maximum) == (1.0, 6.0)
    # t_{0.975, 2} = 0.95 sqrt(2 / (4 * 0.975 * 0.025))
    half = 0.95 * np.sqrt(2 / 0.0975) * np.sqrt(7 / 3)
    assert summary.high - summary.mean == pytest.approx(half, rel=1e-10)
    assert summary.mean - summary.low == pytest.approx(half, rel=1e-10)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_intervals_along_the_first_axis_agree_with_scipy(confidence):
    values = np.random.default_rng(0).normal(size=(5, 4, 3))
    summary = summarize(values, confidence)
    low, high = scipy_stats.t.interval(
        confidence, df=4, loc=values.mean(axis=0), scale=scipy_stats.sem(values, axis=0)
    )
    np.testing.assert_allclose(summary.low, low, rtol=1e-10)
    np.testing.assert_allclose(summary.high, high, rtol=1e-10)


def test_intervals_cover_the_mean_as_often_as_they_say():
    # 4,000 samples of size 3: the share that covers 0 has a standard deviation of 0.0063 at 0.8.
    values = np.random.default_rng(1).normal(size=(3, 4000))
    summary = summarize(values, 0.8)
    covered = np.mean((summary.low < 0) & (summary.high > 0))
    assert abs(covered - 0.8) < 4 * 0.0063


def test_one_seed_has_a_mean_but_no_interval():
    summary = summarize([2.5])
    assert summary.mean == 2.5
    assert np.isnan([summary.deviation, summary.standard_error, summary.low, summary.high]).all()


def test_nan_makes_its_own_column_nan_only():
    summary = summarize([[1.0, np.nan], [3.0, 4.0]])
    assert summary.mean[0] == 2.0
    assert np.isnan(summary.mean[1])


@pytest.mark.parametrize(
    ("values", "confidence", "message"),
    [([], 0.95, "no values"), (1.0, 0.95, "no values"), ([1.0], 0.0, "0.0 is not inside"),
     ([1.0], 1.0, "1.0 is not inside")],
)  # fmt: skip
def test_nothing_to_summarise_is_an_error(values, confidence, message):
    with pytest.raises(ValueError, match=message):
        summarize(values, confidence)


def test_paired_differences_use_the_seeds_that_both_have():
    glocal = {0: 0.9, 2: 0.7, 5: 0.5}
    local = {2: 0.6, 0: 0.85, 7: 0.1}
    pair = paired_difference(glocal, local)
    assert pair.keys == (0, 2)
    np.testing.assert_allclose(pair.differences, [0.05, 0.1], atol=1e-15)
    # n = 2: half width t_{0.975, 1} |d1 - d2| / 2
    half = np.tan(np.pi * 0.475) * 0.025
    assert pair.summary is not None
    assert pair.summary.high - pair.summary.low == pytest.approx(2 * half, rel=1e-9)


def test_pairing_is_tighter_than_two_means_when_seeds_matter():
    seeds = {seed: 10.0 * seed for seed in range(4)}
    better = {seed: value + 1 + 0.01 * seed for seed, value in seeds.items()}
    pair = paired_difference(better, seeds)
    assert pair.summary is not None
    assert pair.summary.low > 0.9
    assert summarize(list(better.values())).low < summarize(list(seeds.values())).high


def test_no_shared_seed_has_no_summary():
    assert paired_difference({0: 1.0}, {1: 1.0}).summary is None


def test_slope_of_a_power_law():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    found = log_log_slope(x, 3 * x**1.5)
    assert found.value == pytest.approx(1.5)
    assert found.high - found.low < 1e-12


def test_slope_and_interval_are_those_of_linear_regression():
    rng = np.random.default_rng(0)
    x = np.repeat([1.0, 2.0, 4.0, 8.0], 3)
    y = x * np.exp(0.1 * rng.standard_normal(12))
    expected = scipy_stats.linregress(np.log(x), np.log(y))
    half = scipy_stats.t.ppf(0.975, 10) * expected.stderr
    found = log_log_slope(x, y)
    assert found.value == pytest.approx(expected.slope)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_two_points_have_no_interval_and_one_size_has_no_slope():
    assert np.isnan(log_log_slope([1, 2], [1, 2]).low)
    with pytest.raises(ValueError, match="one size"):
        log_log_slope([2, 2], [1, 2])
