import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.koopman.rank import (
    check_rank_rule,
    hard_threshold_coefficient,
    marchenko_pastur_median,
    select_rank,
)


@pytest.mark.parametrize("beta", [0.01, 0.1, 30 / 70, 0.5, 0.9, 1.0])
def test_median_halves_the_marchenko_pastur_density(beta):
    # t = a + (b - a) sin^2(s) removes both square-root ends, so the midpoint rule converges fast.
    low, high = (1 - np.sqrt(beta)) ** 2, (1 + np.sqrt(beta)) ** 2

    def mass(below):
        end = np.arcsin(np.sqrt((below - low) / (high - low)))
        nodes = (np.arange(20_000) + 0.5) / 20_000 * end
        t = low + (high - low) * np.sin(nodes) ** 2
        slope = 2 * (high - low) * np.sin(nodes) * np.cos(nodes)
        density = np.sqrt((high - t) * (t - low)) / (2 * np.pi * beta * t)
        return np.sum(density * slope) * end / 20_000

    assert mass(high) == pytest.approx(1, abs=1e-6)
    assert mass(marchenko_pastur_median(beta)) == pytest.approx(0.5, abs=1e-6)


def test_median_is_that_of_a_noise_matrix():
    noise = np.random.default_rng(0).standard_normal((300, 600))
    median = np.median(np.linalg.svd(noise, compute_uv=False) ** 2 / 600)
    # The squares spread over 2.8, and the median is off by one or two of 300: 1 to 2 per cent.
    assert median == pytest.approx(marchenko_pastur_median(0.5), rel=2e-2)


def test_square_coefficient_is_the_published_one():
    assert hard_threshold_coefficient(1.0) == pytest.approx(2.858, abs=5e-4)


@pytest.mark.parametrize(
    ("beta", "published"), [(0.05, 1.5194), (0.1, 1.6089), (0.2, 1.7650), (0.5, 2.1711)]
)
def test_coefficients_are_the_published_ones(beta, published):
    # The published table was made with a median that is right to 1e-3.
    assert hard_threshold_coefficient(beta) == pytest.approx(published, abs=1e-3)


@pytest.mark.parametrize("beta", np.linspace(0.05, 1, 20))
def test_coefficients_follow_the_published_cubic(beta):
    # Gavish & Donoho 2014 give this approximation with an error of at most 0.02.
    cubic = 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
    assert hard_threshold_coefficient(beta) == pytest.approx(cubic, abs=0.02)


def test_full_counts_what_lies_above_the_tolerance():
    values = np.array([2.0, 1.0, 1e-5, 1e-9, 0.0])
    assert select_rank(values, (5, 9), "full", 1e-12) == 4
    assert select_rank(values, (5, 9), "full", 1e-7) == 3
    assert select_rank(values, (5, 9), "full", 0.3) == 2


def test_full_never_keeps_rounding_errors():
    assert select_rank(np.array([1.0, 1e-17]), (2, 9), "full", 0.0) == 1


def test_fixed_rank_is_bounded_by_the_numerical_rank():
    values = np.array([2.0, 1.0, 0.5, 1e-15])
    assert select_rank(values, (4, 9), 2, 1e-12) == 2
    assert select_rank(values, (4, 9), 4, 1e-12) == 3


def test_energy_share_takes_the_fewest_that_reach_it():
    values = np.array([3.0, 2.0, 1.0, 1.0])  # squares 9 + 4 + 1 + 1 = 15
    expected = {0.5: 1, 9 / 15: 1, 0.61: 2, 13 / 15 - 1e-9: 2, 0.9: 3, 0.999: 4}
    for share, rank in expected.items():
        assert select_rank(values, (4, 9), share, 1e-12) == rank


@pytest.mark.parametrize("shape", [(30, 70), (70, 30), (60, 60)])
def test_hard_threshold_finds_the_rank_under_white_noise(shape):
    rng = np.random.default_rng(3)
    signal = rng.standard_normal((shape[0], 4)) @ rng.standard_normal((4, shape[1]))
    for noise in (1e-3, 1e-1):
        values = np.linalg.svd(signal + noise * rng.standard_normal(shape), compute_uv=False)
        assert select_rank(values, shape, "hard_threshold", 1e-12) == 4
        assert select_rank(values, shape, "full", 1e-12) == min(shape)


def test_hard_threshold_of_noise_alone_keeps_one():
    values = np.linalg.svd(np.random.default_rng(0).standard_normal((60, 60)), compute_uv=False)
    assert select_rank(values, (60, 60), "hard_threshold", 1e-12) == 1


def test_hard_threshold_without_noise_is_the_numerical_rank():
    values = np.array([3.0, 1.0, 1e-17, 1e-17, 0.0])
    assert select_rank(values, (5, 9), "hard_threshold", 1e-12) == 2


@pytest.mark.parametrize("rule", ["full", 3, 0.9, "hard_threshold"])
def test_zeros_have_rank_zero(rule):
    assert select_rank(np.zeros(4), (4, 9), rule, 1e-12) == 0


@pytest.mark.parametrize("rule", ["svht", 0, -1, 0.0, 1.0, 1.5, float("nan"), True, None, [3]])
def test_other_rules_are_refused(rule):
    with pytest.raises(UserError, match="rank of the DMD"):
        check_rank_rule(rule)
