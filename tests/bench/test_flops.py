"""The counts against the matrix products and convolutions that JAX writes for the same passes."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from benchmarks.experiments import SMALL
from benchmarks.flops import gradient, layer, products
from benchmarks.work import make_work
from glocal_exp.models.lenet import LeNet
from tests.problems import KEY

SHAPE, CLASSES, BATCH = (28, 28, 1), 10, 3


def count(jaxpr):
    """Two operations to each pair of factors, through all calls."""
    total = 0
    for equation in jaxpr.eqns:
        name, inputs = equation.primitive.name, [v.aval for v in equation.invars]
        out = math.prod(equation.outvars[0].aval.shape)
        if name == "product":
            flip = equation.params["flip_a"]
            total += 2 * out * inputs[0].shape[-2 if flip else -1]
        elif name == "conv_general_dilated":
            total += 2 * _pairs(equation)
        for parameter in equation.params.values():
            if hasattr(parameter, "jaxpr"):
                total += count(parameter.jaxpr)
    return total


def _pairs(equation):
    """Of a convolution: kernel entries that meet data, not the zeros of padding."""
    (lhs, rhs), params = [v.aval.shape for v in equation.invars], equation.params
    spec, out = params["dimension_numbers"], equation.outvars[0].aval.shape
    pairs = lhs[spec.lhs_spec[0]] * rhs[spec.rhs_spec[0]] * rhs[spec.rhs_spec[1]]
    for place in range(2):
        data, kernel = lhs[spec.lhs_spec[2 + place]], rhs[spec.rhs_spec[2 + place]]
        before = params["padding"][place][0]
        positions = range(out[spec.out_spec[2 + place]])
        pairs *= sum(0 <= o + k - before < data for o in positions for k in range(kernel))
    return pairs


@pytest.mark.parametrize("tangents", [0, 1])
def test_passes_take_the_products_that_are_in_them(tangents):
    network = partial(
        LeNet, image_shape=SHAPE, classes=CLASSES, filters=4, hidden=6, negative_slope=0.1,
        initializer="torch", convolution="lax",
    )  # fmt: skip
    model, images = jax.eval_shape(lambda key: (network(key), jnp.ones((BATCH, *SHAPE))), KEY)
    forward = jax.make_jaxpr(lambda model, images: model(images))(model, images)
    assert count(forward.jaxpr) == sum(map(layer, products(forward.jaxpr)))

    def grad(model):
        return jax.grad(lambda model: jnp.sum(model(jnp.ones((BATCH, *SHAPE))) ** 2))(model)

    def push(model):
        return jax.jvp(grad, (model,), (model,))

    passes = jax.make_jaxpr(push if tangents else grad)(model)
    assert count(passes.jaxpr) == gradient(forward, tangents)


def test_the_paper_s_networks_by_hand():
    products = (24 * 24 * 16 * 25, 8 * 8 * 16 * 16 * 25, 256 * 32, 320)
    first, whole = 2 * products[0], 2 * sum(products)
    assert make_work(SMALL).flops(1, 3) == 3 * whole - first + 3 * (6 * whole - 4 * first)
    work = make_work(SMALL, "model=wide_resnet", "model.depth=10", "model.width=1")
    side = (28, 14, 7)  # of the three stages, of 16, 32 and 64 channels
    blocks = [28**2 * 2 * 9 * 16 * 16]
    blocks += [
        s**2 * c * (9 * c // 2 + 9 * c + c // 2) for s, c in zip(side[1:], (32, 64), strict=True)
    ]
    first, whole = 2 * 28**2 * 9 * 16, 2 * (28**2 * 9 * 16 + sum(blocks) + 640)
    assert work.flops(5) == 5 * (3 * whole - first)
