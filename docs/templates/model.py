"""A template: one hidden layer (glocal_exp/models/<id>.py)."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray


class Perceptron(eqx.Module):
    """Images (batch, height, width, channels) of floats to logits (batch, classes)."""

    layers: list[eqx.nn.Linear]

    def __init__(
        self, key: PRNGKeyArray, *, image_shape: tuple[int, int, int], classes: int, width: int
    ):
        """Make the initial weights; a model's constructor takes a key first."""
        height, columns, channels = image_shape
        first, second = jax.random.split(key)
        size = height * columns * channels
        self.layers = [
            eqx.nn.Linear(size, width, key=first),
            eqx.nn.Linear(width, classes, key=second),
        ]

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch c"]:
        hidden = jax.nn.relu(jax.vmap(self.layers[0])(x.reshape(len(x), -1)))
        return jax.vmap(self.layers[1])(hidden)
