"""Initial weights: the named schemes that the paper's text leaves open."""

import math
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Initializer = Literal["torch", "lecun_uniform", "he_normal", "he_normal_fan_out"]
"""`torch`: uniform in +-1/sqrt(fan_in), biases too (PyTorch's and Equinox's default layers);
`lecun_uniform`: variance 1/fan_in, biases 0; `he_normal`: normal, variance
2 / ((1 + slope^2) fan_in), biases 0 (He et al. 2015); `he_normal_fan_out`: normal, variance
2 / fan_out, biases 0 (torchvision's ResNets)."""


def initialize(
    key: PRNGKeyArray, shape: tuple[int, ...], initializer: Initializer, negative_slope: float
) -> tuple[Float[Array, "out ..."], Float[Array, " out"]]:
    """A layer's weight of `shape` (out, in, ...) and its bias (out,).

    Raises:
        ValueError: for an unknown scheme.
    """
    weight_key, bias_key = jax.random.split(key)
    fan_in = math.prod(shape[1:])
    bounds = {"torch": 1 / math.sqrt(fan_in), "lecun_uniform": math.sqrt(3 / fan_in)}
    scales = {
        "he_normal": math.sqrt(2 / ((1 + negative_slope**2) * fan_in)),
        "he_normal_fan_out": math.sqrt(2 / (shape[0] * math.prod(shape[2:]))),
    }
    bias = jnp.zeros(shape[0])
    if initializer in scales:
        return scales[initializer] * jax.random.normal(weight_key, shape), bias
    if initializer not in bounds:
        known = ", ".join(get_args(Initializer))
        raise ValueError(f"unknown initializer {initializer!r}; one of {known}")
    uniform = partial(jax.random.uniform, minval=-bounds[initializer], maxval=bounds[initializer])
    if initializer == "torch":
        bias = uniform(bias_key, shape[:1])
    return uniform(weight_key, shape), bias
