"""The product against `@`: values, derivatives, vmaps, and their compositions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.models.product import product


def operands(seed=0, batch=()):
    rng = np.random.default_rng(seed)
    shapes = ((*batch, 3, 4), (*batch, 4, 5))
    return tuple(jnp.asarray(rng.normal(size=shape)) for shape in shapes)


def agree(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)


def scalar(multiply):
    return lambda a, b: jnp.sum(jnp.sin(multiply(a, b)))


def gradient(multiply):
    return jax.grad(scalar(multiply), argnums=(0, 1))


def tangent_of_gradient(multiply):
    return lambda a, b, da, db: jax.jvp(gradient(multiply), (a, b), (da, db))


def test_it_is_the_product():
    agree(product(*operands()), jnp.matmul(*operands()))
    agree(jax.jit(product)(*operands()), jnp.matmul(*operands()))


@pytest.mark.parametrize("derivative", [gradient, tangent_of_gradient])
def test_derivatives_are_those_of_a_product(derivative):
    arguments = operands() if derivative is gradient else (*operands(), *operands(1))
    agree(*(jax.jit(derivative(multiply))(*arguments) for multiply in (product, jnp.matmul)))


def test_a_hessian_in_both_modes_is_that_of_a_product():
    expected = jax.jit(jax.jacfwd(jax.jacrev(scalar(jnp.matmul))))(*operands())
    for outer, inner in itertools.product((jax.jacfwd, jax.jacrev), repeat=2):
        agree(jax.jit(outer(inner(scalar(product))))(*operands()), expected)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1)])
def test_a_vmap_over_either_operand(axes):
    a, b = operands()
    a = a if axes[0] is None else jnp.stack([a, 2 * a, jnp.cos(a)], axes[0])
    b = b if axes[1] is None else jnp.stack([b, b - 1, jnp.sin(b)], axes[1])
    for function in (lambda m: m, gradient):
        both = (jax.vmap(function(multiply), in_axes=axes) for multiply in (product, jnp.matmul))
        agree(*(jax.jit(multiplied)(a, b) for multiplied in both))


@pytest.mark.parametrize("pushed", [(0, None), (None, 0), (0, 0)])
def test_tangents_of_gradients_for_several_seeds(pushed):
    """Seeds outside, tangents inside: an operand may have both axes and the other only one."""
    a, b = operands(batch=(2,))
    da, db = operands(1, batch=(2, 3))
    da, db = (x if axis == 0 else x[:, 0] for x, axis in zip((da, db), pushed, strict=True))

    def tangents(multiply):
        push = jax.vmap(tangent_of_gradient(multiply), in_axes=(None, None, *pushed))
        return jax.jit(jax.vmap(push))(a, b, da, db)

    agree(tangents(product), tangents(jnp.matmul))


@pytest.mark.parametrize("axes", [(0, None), (None, 0)])
def test_a_gradient_by_the_operand_that_a_vmap_shares(axes):
    """The transpose of a broadcast is a sum, over a new axis and over one of length 1."""
    a, b = (
        x if axis is None else jnp.stack([x, 2 * x])
        for x, axis in zip(operands(), axes, strict=True)
    )

    def total(multiply):
        once = jax.vmap(multiply, in_axes=axes)
        twice = jax.vmap(once, in_axes=(None, 0) if axes[0] == 0 else (0, None))
        other = (a, jnp.stack([b, jnp.cos(b)])) if axes[0] == 0 else (jnp.stack([a, jnp.cos(a)]), b)
        return jax.jit(gradient(twice))(*other)

    agree(total(product), total(jnp.matmul))


def test_no_large_operand_is_transposed_when_tangents_are_pushed():
    """What it is for: in the compiled tangents of a gradient nothing moves an axis of the data."""
    a, b = operands()
    das, dbs = jnp.stack([a] * 3), jnp.stack([b] * 3)
    push = jax.vmap(tangent_of_gradient(product), in_axes=(None, None, 0, 0))
    text = str(jax.make_jaxpr(push)(a, b, das, dbs))
    assert "product" in text
    assert "transpose[" not in text
