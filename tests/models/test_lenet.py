from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.models.lenet import LeNet

PAPER = partial(
    LeNet,
    classes=10,
    filters=16,
    hidden=32,
    negative_slope=0.01,
    initializer="torch",
)


@pytest.mark.parametrize(
    ("image_shape", "flat", "parameters"),
    [
        # (25 + 1) 16 + (25 16 + 1) 16 + (256 + 1) 32 + (32 + 1) 10: "15k" in the paper
        ((28, 28, 1), 256, 15386),
        # colour images: 3 channels, 5x5 left after the second pool
        ((32, 32, 3), 400, 20794),
    ],
)
def test_the_paper_s_parameters(image_shape, flat, parameters):
    network = jax.eval_shape(partial(PAPER, image_shape=image_shape), jax.random.key(0))
    layers = (network.conv1, network.conv2, network.linear1, network.linear2)
    assert [(weight.shape, bias.shape) for weight, bias in layers] == [
        ((16, image_shape[2], 5, 5), (16,)),
        ((16, 16, 5, 5), (16,)),
        ((32, flat), (32,)),
        ((10, 32), (10,)),
    ]
    assert sum(leaf.size for leaf in jax.tree.leaves(network)) == parameters
    images = jax.ShapeDtypeStruct((3, *image_shape), jnp.float32)
    assert jax.eval_shape(lambda network, x: network(x), network, images).shape == (3, 10)


def test_logits_are_those_of_the_layers_one_after_another():
    """In the usual order and layout: images first, activation before pooling, NumPy's sums."""
    make = partial(PAPER, image_shape=(16, 20, 2), convolution="tiles")
    network = jax.jit(make)(jax.random.key(0))
    images = np.random.default_rng(0).normal(size=(3, 16, 20, 2))

    def activate(x):
        return np.where(x > 0, x, 0.01 * x)

    x = images.transpose(0, 3, 1, 2)
    for weight, bias in (network.conv1, network.conv2):
        windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(2, 3))
        y = activate(
            np.einsum("nchwij,ocij->nohw", windows, weight) + np.asarray(bias)[:, None, None]
        )
        n, filters, height, width = y.shape
        x = y.reshape(n, filters, height // 2, 2, width // 2, 2).max((3, 5))
    x = x.reshape(3, -1)
    x = activate(x @ np.asarray(network.linear1[0]).T + np.asarray(network.linear1[1]))
    logits = x @ np.asarray(network.linear2[0]).T + np.asarray(network.linear2[1])
    found = jax.jit(lambda network, x: network(x))(network, images)
    np.testing.assert_allclose(found, logits, rtol=1e-10, atol=1e-12)
