"""LeNet as the paper uses it (appendix B.1): 15,386 parameters on 28x28 images of ten classes."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.models.conv import Convolution, conv_max_pool
from glocal_exp.models.initializers import Initializer, initialize
from glocal_exp.models.product import product


class LeNet(eqx.Module):
    """Two 5x5 convolutions with leaky ReLU and 2x2 max pooling, then two linear layers.

    Called on a batch of images (batch, height, width, channels) of floats, it returns the logits
    (batch, classes). Weight matrices are (out, in).
    """

    conv1: tuple[Array, Array]
    conv2: tuple[Array, Array]
    linear1: tuple[Array, Array]
    linear2: tuple[Array, Array]
    negative_slope: float = eqx.field(static=True)
    convolution: Convolution = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        *,
        image_shape: tuple[int, int, int],
        classes: int,
        filters: int,
        hidden: int,
        negative_slope: float,
        initializer: Initializer,
        convolution: Convolution = "auto",
    ):
        height, width, channels = image_shape
        flat = filters * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
        convolutions = (filters, channels, 5, 5), (filters, filters, 5, 5)
        shapes = *convolutions, (hidden, flat), (classes, hidden)
        keys = jax.random.split(key, len(shapes))
        self.conv1, self.conv2, self.linear1, self.linear2 = (
            initialize(k, shape, initializer, negative_slope)
            for k, shape in zip(keys, shapes, strict=True)
        )
        self.negative_slope, self.convolution = negative_slope, convolution

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        x = jnp.transpose(x, (3, 1, 2, 0))
        for weight, bias in (self.conv1, self.conv2):
            x = self._activate(conv_max_pool(x, weight, bias, self.convolution))
        x = x.reshape(-1, x.shape[-1])
        weight, bias = self.linear1
        x = self._activate(product(weight, x) + bias[:, None])
        weight, bias = self.linear2
        return (product(weight, x) + bias[:, None]).T

    def _activate(self, x: Array) -> Array:
        return jax.nn.leaky_relu(x, self.negative_slope)
