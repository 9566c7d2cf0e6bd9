import re
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.hypergrad.forward import push_tangents
from glocal_exp.models.wide_resnet import GroupNorm, WideResNet
from glocal_exp.types import InnerState

PAPER = partial(
    WideResNet,
    image_shape=(32, 32, 3),
    classes=10,
    depth=28,
    width=2,
    stem=16,
    groups=8,
    negative_slope=0.01,
    initializer="he_normal_fan_out",
    linear_initializer="torch",
    pool="max",
)
SMALL = partial(PAPER, image_shape=(8, 8, 2), depth=10, width=1, stem=8, groups=4)


def images(number=3, shape=(8, 8, 2)):
    return jnp.asarray(np.random.default_rng(0).normal(size=(number, *shape)))


def outputs(network, x):
    return jax.jit(lambda network, x: network(x))(network, x)


@pytest.mark.parametrize(
    ("classes", "depth", "width", "parameters"),
    [
        (10, 28, 2, 1_467_610),  # "1.5M" in the paper
        (100, 28, 2, 1_479_220),
        (10, 16, 1, 175_066),
        (10, 10, 1, 77_850),
    ],
)
def test_parameters(classes, depth, width, parameters):
    make = partial(PAPER, classes=classes, depth=depth, width=width)
    network = jax.eval_shape(make, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(network)) == parameters
    x = jax.ShapeDtypeStruct((3, 32, 32, 3), jnp.float32)
    assert jax.eval_shape(lambda network, x: network(x), network, x).shape == (3, classes)


def by_equinox(network, x, stride_of):
    """The same weights in Equinox's own layers, one image at a time."""

    def convolve(weight, x, stride):
        out, into, size, _ = weight.shape
        layer = eqx.nn.Conv2d(
            into, out, size, stride, size // 2, use_bias=False, key=jax.random.key(0)
        )
        return eqx.tree_at(lambda c: c.weight, layer, weight)(x)

    def normalise(norm, x):
        layer = eqx.nn.GroupNorm(norm.groups, len(norm.scale))
        layer = eqx.tree_at(lambda n: (n.weight, n.bias), layer, (norm.scale, norm.shift))
        return layer(x)

    def activate(x):
        return jnp.where(x > 0, x, 0.01 * x)

    def one(image):
        x = convolve(network.stem, image.transpose(2, 0, 1), 1)
        for block, stride in zip(network.blocks, stride_of, strict=True):
            y = convolve(block.convs[0], activate(normalise(block.norms[0], x)), stride)
            y = convolve(block.convs[1], activate(normalise(block.norms[1], y)), 1)
            x = y + (x if block.shortcut is None else convolve(block.shortcut, x, stride))
        x = activate(normalise(network.norm, x))
        x = x.max((1, 2)) if network.pool == "max" else x.mean((1, 2))
        return network.linear[0] @ x + network.linear[1]

    return jax.vmap(one)(x)


def varied(network):
    """Norms away from 1 and 0, so that each counts."""
    leaves, structure = jax.tree.flatten(network)
    rng = np.random.default_rng(1)
    return structure.unflatten([leaf + 0.1 * rng.normal(size=leaf.shape) for leaf in leaves])


@pytest.mark.parametrize(
    ("convolution", "pool", "depth", "strides"),
    [("tiles", "max", 16, (1, 1, 2, 1, 2, 1)), ("lax", "mean", 10, (1, 2, 2))],
)
def test_logits_are_those_of_equinox_s_layers(convolution, pool, depth, strides):
    make = partial(SMALL, depth=depth, pool=pool, convolution=convolution)
    network = varied(jax.jit(make)(jax.random.key(0)))
    found = outputs(network, images())
    expected = jax.jit(partial(by_equinox, stride_of=strides))(network, images())
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_initial_weights():
    network = jax.jit(partial(PAPER, depth=10))(jax.random.key(0))
    for block in network.blocks:
        for weight in block.convs:
            deviation = np.sqrt(2 / (weight.shape[0] * 9))
            assert np.std(weight) == pytest.approx(deviation, rel=0.05)
        assert all(np.all(norm.scale == 1) and np.all(norm.shift == 0) for norm in block.norms)
    assert np.abs(network.linear[0]).max() == pytest.approx(1 / np.sqrt(128), rel=0.01)


def training_step(make):
    """A compiled gradient step of a tiny network, with a tangent that goes through its Hessian."""
    network = varied(jax.jit(make)(jax.random.key(0)))
    params, static = eqx.partition(network, eqx.is_inexact_array)
    x, y = images(), jnp.array([1, 0, 3])

    def loss(params):
        logits = eqx.combine(params, static)(x)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(3), y])

    def step(state, phi):
        value, gradient = jax.value_and_grad(loss)(state.params)
        params = jax.tree.map(lambda p, g: p - phi * g, state.params, gradient)
        return InnerState(params, (), state.step + 1), value

    def once(params):
        state = InnerState(params, (), jnp.array(0))
        inexact = eqx.filter(state, eqx.is_inexact_array)
        tangents = jax.tree.map(lambda leaf: jnp.sin(leaf)[None], inexact)
        state, tangents, value = push_tangents(step, state, jnp.array(0.1), tangents)
        return state.params, tangents.params, value

    compiled = jax.jit(once).lower(params).compile()
    return compiled(params), len(re.findall(r" (convolution|dot)\(", compiled.as_text()))


def test_rematerialised_training_and_its_tangents_are_the_same():
    """How much memory that saves is up to the compiler; XLA for CPUs saves none."""
    (kept, products), (again, more) = (
        training_step(partial(SMALL, rematerialize=rematerialize, convolution="lax"))
        for rematerialize in (False, True)
    )
    for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(kept[1])) > 0.01
    # Of each of three blocks the first: its result is what the second norm's derivative needs.
    assert more >= products + 3


def test_bfloat16_computes_in_it_and_keeps_weights_and_logits():
    network = varied(jax.jit(SMALL)(jax.random.key(0)))
    coarse = varied(jax.jit(partial(SMALL, compute="bfloat16"))(jax.random.key(0)))
    assert [leaf.dtype for leaf in jax.tree.leaves(coarse)] == [
        leaf.dtype for leaf in jax.tree.leaves(network)
    ]
    fine, found = outputs(network, images()), outputs(coarse, images())
    assert found.dtype == fine.dtype
    error = float(jnp.linalg.norm(found - fine) / jnp.linalg.norm(fine))
    assert 1e-4 < error < 0.1  # eight bits of mantissa, 4e-3, in seven layers one after another


def test_group_norm_makes_groups_standard():
    x = 5 + 3 * jnp.asarray(np.random.default_rng(0).normal(size=(6, 4, 4, 2)))
    y = np.asarray(GroupNorm(6, 2)(x)).reshape(2, 3, 4, 4, 2)
    np.testing.assert_allclose(y.mean((1, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std((1, 2, 3)), 1, rtol=1e-5)  # the 1e-5 beside the variance


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"depth": 27}, r"model.depth=27 is not 6 n \+ 4"),
        ({"depth": 4}, r"model.depth=4 is not"),
        ({"groups": 7}, "model.groups=7 does not divide the 16 channels"),
        ({"image_shape": (30, 32, 3)}, "30x32"),
    ],
)
def test_what_does_not_fit_is_said(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        jax.eval_shape(partial(PAPER, **settings), jax.random.key(0))
