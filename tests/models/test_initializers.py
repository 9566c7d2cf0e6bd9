import math

import jax
import numpy as np
import pytest

from glocal_exp.models.initializers import initialize

SHAPE = (200, 3, 5, 5)  # fan-in 75; 15,000 numbers: moments to about 2 %
FAN_IN = 75


def draw(initializer, slope=0.1):
    weight, bias = initialize(jax.random.key(0), SHAPE, initializer, slope)
    assert (weight.shape, bias.shape) == (SHAPE, (200,))
    return np.asarray(weight), np.asarray(bias)


@pytest.mark.parametrize(
    ("initializer", "bound"),
    [("torch", 1 / math.sqrt(FAN_IN)), ("lecun_uniform", math.sqrt(3 / FAN_IN))],
)
def test_uniform_schemes(initializer, bound):
    weight, _ = draw(initializer)
    # 15,000 draws come within 0.1 % of the ends.
    assert 0.999 * bound < weight.max() < bound
    assert -bound < weight.min() < -0.999 * bound
    assert weight.var() == pytest.approx(bound**2 / 3, rel=0.03)
    assert abs(weight.mean()) < 0.02 * bound


def test_lecun_has_variance_one_over_fan_in():
    assert draw("lecun_uniform")[0].var() * FAN_IN == pytest.approx(1, rel=0.03)


def test_he_corrects_for_the_slope():
    weight, _ = draw("he_normal", slope=0.5)
    standard = weight / math.sqrt(2 / (1.25 * FAN_IN))
    assert standard.var() == pytest.approx(1, rel=0.04)
    assert abs(standard.mean()) < 0.03
    assert (standard**4).mean() == pytest.approx(3, rel=0.1)  # a normal distribution's
    assert np.mean(np.abs(standard) > 2) == pytest.approx(0.0455, rel=0.15)


def test_biases():
    _, bias = draw("torch")
    bound = 1 / math.sqrt(FAN_IN)
    assert 0.95 * bound < np.abs(bias).max() < bound
    assert bias.var() == pytest.approx(bound**2 / 3, rel=0.25)  # of 200 numbers
    for initializer in ("lecun_uniform", "he_normal"):
        assert not draw(initializer)[1].any()


def test_weight_and_bias_are_drawn_apart():
    weight, bias = initialize(jax.random.key(0), (50, 50), "torch", 0.0)
    assert np.abs(np.asarray(weight)[0] - np.asarray(bias)).min() > 0


def test_an_unknown_scheme():
    with pytest.raises(ValueError, match="unknown initializer 'xavier'; one of torch, lecun"):
        initialize(jax.random.key(0), (2, 2), "xavier", 0.0)  # pyright: ignore[reportArgumentType]
