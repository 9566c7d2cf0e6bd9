"""The counts against the matrix products and convolutions that JAX writes for the same passes."""

import math

import jax
import jax.numpy as jnp
import pytest

from glocal_exp.bench.flops import lenet
from glocal_exp.models.lenet import LeNet

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


@pytest.fixture(scope="module")
def network():
    model = LeNet(
        jax.random.key(0), image_shape=SHAPE, classes=CLASSES, filters=4, hidden=6,
        negative_slope=0.1, initializer="torch", convolution="lax",
    )  # fmt: skip
    images = jnp.ones((BATCH, *SHAPE))

    def loss(model):
        return jnp.sum(model(images) ** 2)

    return model, loss, lenet(SHAPE, 4, 6, CLASSES)


def test_forward_and_gradient(network):
    model, loss, counted = network
    assert count(jax.make_jaxpr(loss)(model).jaxpr) == BATCH * counted.forward
    assert count(jax.make_jaxpr(jax.grad(loss))(model).jaxpr) == BATCH * counted.gradient


def test_a_tangent_of_the_gradient(network):
    model, loss, counted = network

    def push(model):
        return jax.jvp(jax.grad(loss), (model,), (model,))

    both = BATCH * (counted.gradient + counted.tangent)
    assert count(jax.make_jaxpr(push)(model).jaxpr) == both


def test_the_paper_s_network_by_hand():
    counted = lenet(SHAPE, 16, 32, CLASSES)
    products = (24 * 24 * 16 * 25, 8 * 8 * 16 * 16 * 25, 256 * 32, 320)
    assert counted.layers == tuple(2 * n for n in products)
    assert counted.tangent_step(3) == counted.gradient + 3 * counted.tangent
