"""The two ways to convolve and pool, against each other and against loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.models.conv import conv, conv_max_pool, resolve

POOLED = jax.jit(conv_max_pool, static_argnums=3)
# channels, height, width, batch; filters, size
SHAPES = {
    "one channel": ((1, 8, 10, 3), (2, 5)),
    "channels": ((3, 6, 8, 2), (4, 3)),
    "pointwise": ((2, 4, 4, 2), (3, 1)),
}


def operands(name, seed=0):
    (channels, height, width, batch), (filters, size) = SHAPES[name]
    rng = np.random.default_rng(seed)
    shapes = (channels, height, width, batch), (filters, channels, size, size), (filters,)
    return tuple(jnp.asarray(rng.normal(size=shape)) for shape in shapes)


def loops(x, weight, bias):
    """Every output by its definition."""
    _, height, width, batch = x.shape
    filters, _, size, _ = weight.shape
    full = np.zeros((filters, height - size + 1, width - size + 1, batch))
    for f, i, j, n in np.ndindex(*full.shape):
        window = x[:, i : i + size, j : j + size, n]
        full[f, i, j, n] = np.sum(window * weight[f]) + bias[f]
    pooled = np.zeros((filters, full.shape[1] // 2, full.shape[2] // 2, batch))
    for f, i, j, n in np.ndindex(*pooled.shape):
        pooled[f, i, j, n] = full[f, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, n].max()
    return pooled


@pytest.mark.parametrize("convolution", ["tiles", "lax"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_convolution_and_its_pool_are_what_loops_give(name, convolution):
    x, weight, bias = operands(name)
    found = POOLED(x, weight, bias, convolution)
    np.testing.assert_allclose(found, loops(*map(np.asarray, (x, weight, bias))), rtol=1e-12)


@pytest.mark.parametrize("name", ["one channel", "channels"])
def test_both_ways_have_the_same_derivatives(name):
    """Gradient, tangent, and the tangent of the gradient: what tangents of training need."""
    primal, tangent = operands(name), operands(name, seed=1)

    def derivatives(convolution):
        def scalar(operands):
            x, weight, bias = operands
            return jnp.sum(jnp.sin(conv_max_pool(x, weight, bias, convolution)))

        def function(primal, tangent):
            return jax.jvp(jax.value_and_grad(scalar), (primal,), (tangent,))

        return jax.jit(function)(primal, tangent)

    tiles, lax = derivatives("tiles"), derivatives("lax")
    for a, b in zip(jax.tree.leaves(tiles), jax.tree.leaves(lax), strict=True):
        # Rounding of sums of up to a hundred products; some sums cancel.
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        assert np.max(np.abs(b)) > 0.1


def test_an_increasing_activation_may_come_after_the_pool():
    x, weight, bias = operands("channels")
    y = jax.lax.conv_general_dilated(
        x, weight, (1, 1), "VALID", dimension_numbers=("CHWN", "OIHW", "CHWN")
    )
    activated = jax.nn.leaky_relu(y + bias[:, None, None, None], 0.01)
    before = jax.lax.reduce_window(
        activated, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
    )
    after = jax.nn.leaky_relu(POOLED(x, weight, bias, "tiles"), 0.01)
    assert float(jnp.min(after)) < 0 < float(jnp.max(after))
    np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-14)


def test_the_platform_picks_once(monkeypatch):
    assert resolve("tiles") == "tiles"
    assert resolve("lax") == "lax"
    for platform, choice in (("cpu", "tiles"), ("gpu", "lax"), ("tpu", "lax")):
        monkeypatch.setattr(jax, "default_backend", lambda platform=platform: platform)
        assert resolve("auto") == choice


def test_on_a_tie_one_output_of_the_window_has_the_derivative():
    x = jnp.ones((1, 6, 6, 1))
    weight, bias = jnp.ones((1, 1, 5, 5)), jnp.zeros(1)

    def pooled(x):
        return jnp.sum(conv_max_pool(x, weight, bias, "tiles"))

    expected = np.zeros((6, 6))
    expected[:5, :5] = 1  # the first output's window
    np.testing.assert_array_equal(jax.jit(jax.grad(pooled))(x)[0, :, :, 0], expected)
    assert float(jax.jit(lambda x: jax.jvp(pooled, (x,), (x,))[1])(x)) == 25


# channels, height, width, batch; filters, size, stride
PADDED = {
    "3x3": ((2, 4, 6, 3), (3, 3, 1)),
    "every second": ((2, 4, 6, 3), (3, 3, 2)),
    "pointwise, every second": ((3, 4, 4, 2), (2, 1, 2)),
    "5x5": ((1, 6, 6, 2), (2, 5, 1)),
}


def padded_operands(name, seed=0):
    (channels, *rest), (filters, size, stride) = PADDED[name]
    rng = np.random.default_rng(seed)
    shapes = (channels, *rest), (filters, channels, size, size)
    return tuple(jnp.asarray(rng.normal(size=shape)) for shape in shapes), stride


@pytest.mark.parametrize("convolution", ["tiles", "lax"])
@pytest.mark.parametrize("name", PADDED)
def test_a_padded_convolution_is_what_loops_give(name, convolution):
    (x, weight), stride = padded_operands(name)
    filters, _, size, _ = weight.shape
    _, height, width, batch = x.shape
    half = size // 2
    around = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    expected = np.zeros((filters, height // stride, width // stride, batch))
    for f, i, j, n in np.ndindex(*expected.shape):
        top, left = i * stride, j * stride
        window = around[:, top : top + size, left : left + size, n]
        expected[f, i, j, n] = np.sum(window * np.asarray(weight)[f])
    found = jax.jit(partial(conv, stride=stride, convolution=convolution))(x, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", PADDED)
def test_both_ways_of_a_padded_convolution_have_the_same_derivatives(name):
    primal, stride = padded_operands(name)
    tangent, _ = padded_operands(name, seed=1)

    def derivatives(convolution):
        def scalar(operands):
            return jnp.sum(jnp.sin(conv(*operands, stride=stride, convolution=convolution)))

        def function(primal, tangent):
            return jax.jvp(jax.value_and_grad(scalar), (primal,), (tangent,))

        return jax.jit(function)(primal, tangent)

    tiles, lax = derivatives("tiles"), derivatives("lax")
    for a, b in zip(jax.tree.leaves(tiles), jax.tree.leaves(lax), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
        assert np.max(np.abs(b)) > 0.1
