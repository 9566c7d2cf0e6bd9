"""Oracles: closed forms of Student's t for 1, 2 and 4 degrees of freedom; how often it covers."""

import numpy as np
import pytest

from glocal_exp.stats import log_log_slope, mean_interval, p_value, paired_differences


@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.999])
def test_intervals_have_closed_forms(probability):
    odds = 4 * probability * (1 - probability)
    quantiles = {
        2: np.tan(np.pi * (probability - 0.5)),
        3: (2 * probability - 1) * np.sqrt(2 / odds),
        5: 2 * np.sqrt(np.cos(np.arccos(np.sqrt(odds)) / 3) / np.sqrt(odds) - 1),
    }
    for count, quantile in quantiles.items():
        values = np.random.default_rng(0).normal(size=count)
        found = mean_interval(values, 2 * probability - 1)
        half = quantile * np.std(values, ddof=1) / np.sqrt(count)
        np.testing.assert_allclose(found.high - found.value, half, rtol=1e-10)
        np.testing.assert_allclose(found.value - found.low, half, rtol=1e-10)


def test_mean_of_three_seeds_by_hand():
    found = mean_interval([1.0, 2.0, 6.0])
    # mean 3, deviations -2 -1 3: variance 14 / 2 = 7; t_{0.975, 2} = 0.95 sqrt(2 / (4 * 0.024375))
    half = 0.95 * np.sqrt(2 / 0.0975) * np.sqrt(7 / 3)
    assert found.value == 3.0
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), rel=1e-10)


def test_intervals_cover_the_mean_as_often_as_they_say():
    # 4,000 samples of size 3: the share that covers 0 has a standard deviation of 0.0063 at 0.8.
    values = np.random.default_rng(1).normal(size=(4000, 3))
    intervals = [mean_interval(one, 0.8) for one in values]
    covered = np.mean([one.low < 0 < one.high for one in intervals])
    assert abs(covered - 0.8) < 4 * 0.0063


def test_one_seed_has_a_mean_but_no_interval():
    found = mean_interval([2.5])
    assert found.value == 2.5
    assert np.isnan([found.low, found.high]).all()


def test_nan_makes_all_nan():
    assert np.isnan(mean_interval([1.0, np.nan, 2.0])).all()


def test_nothing_to_summarise_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_paired_differences_use_the_seeds_that_both_have():
    glocal = {0: 0.9, 2: 0.7, 5: 0.5}
    local = {2: 0.6, 0: 0.85, 7: 0.1}
    np.testing.assert_allclose(paired_differences(glocal, local), [0.05, 0.1], atol=1e-15)
    assert paired_differences({0: 1.0}, {1: 1.0}) == []


def test_pairing_is_tighter_than_two_means_when_seeds_matter():
    seeds = {seed: 10.0 * seed for seed in range(4)}
    better = {seed: value + 1 + 0.01 * seed for seed, value in seeds.items()}
    assert mean_interval(paired_differences(better, seeds)).low > 0.9
    assert mean_interval(list(better.values())).low < mean_interval(list(seeds.values())).high


def test_slope_of_a_power_law():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    found = log_log_slope(x, 3 * x**1.5)
    assert found.value == pytest.approx(1.5)
    assert found.high - found.low < 1e-12


def test_slope_and_interval_are_those_of_the_normal_equations():
    rng = np.random.default_rng(0)
    x = np.array([1.0, 2.0, 4.0, 8.0])
    y = x * np.exp(0.1 * rng.standard_normal(4))
    matrix = np.stack([np.ones(4), np.log(x)], axis=1)
    solution, (left,), *_ = np.linalg.lstsq(matrix, np.log(y), rcond=None)
    error = np.sqrt(left / 2 * np.linalg.inv(matrix.T @ matrix)[1, 1])
    half = 0.95 * np.sqrt(2 / 0.0975) * error  # t_{0.975, 2}
    found = log_log_slope(x, y)
    assert found == pytest.approx((solution[1], solution[1] - half, solution[1] + half))


def test_two_points_have_no_interval_and_one_size_has_no_slope():
    assert np.isnan(log_log_slope([1, 2], [1, 2]).low)
    with pytest.raises(ValueError, match="identical"):
        log_log_slope([2, 2], [1, 2])


def test_values_that_are_all_the_same_have_no_spread_and_a_clear_answer():
    assert mean_interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert p_value([2.0, 2.0]) == 0
    assert p_value([0.0, 0.0]) == 1
    assert np.isnan(p_value([1.0]))
    # t = 2 / (1 / sqrt 3) of two degrees of freedom: p = 1 - t / sqrt(2 + t^2)
    t = 2 * np.sqrt(3)
    assert p_value([1.0, 2.0, 3.0]) == pytest.approx(1 - t / np.sqrt(2 + t * t))
