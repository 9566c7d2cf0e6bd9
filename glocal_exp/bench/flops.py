"""Floating point operations that a network's passes need, derived from its layers.

Counted are the matrix products of the layers, two operations (a multiplication and an addition) to
a pair of factors; biases, activations, pooling, the loss and the optimizer's rule are not, nor what
an implementation computes beyond the network's own products. With F for the forward pass and F_1
for its first layer, whose input is data and needs neither gradient nor tangent:

    forward             F
    gradient            3 F - F_1        (products for the weights' and for the inputs' gradients)
    tangent of it       6 F - 4 F_1      (each product of two varying factors has two terms)

so a step with q tangents is gradient + q tangents, and so is one pulled back with q = 1, since the
transpose of a linear map takes as many products as the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """Operations of one image.

    Attributes:
        layers: those of each layer's forward product.
    """

    layers: tuple[int, ...]

    @property
    def forward(self) -> int:
        """The logits."""
        return sum(self.layers)

    @property
    def gradient(self) -> int:
        """The loss and its gradient."""
        return 3 * self.forward - self.layers[0]

    @property
    def tangent(self) -> int:
        """The derivative of the gradient in one direction, without the gradient."""
        return 6 * self.forward - 4 * self.layers[0]

    def tangent_step(self, q: int) -> int:
        """The gradient with q tangents."""
        return self.gradient + q * self.tangent


def lenet(image_shape: Sequence[int], filters: int, hidden: int, classes: int) -> Count:
    """Of the network of `models/lenet.py` on images (height, width, channels)."""
    height, width, channels = image_shape
    layers, inputs = [], channels
    for _ in range(2):
        height, width = height - 4, width - 4
        layers.append(2 * filters * height * width * inputs * 25)
        height, width, inputs = height // 2, width // 2, filters
    layers += [2 * height * width * filters * hidden, 2 * hidden * classes]
    return Count(tuple(layers))


def wide_resnet(
    image_shape: Sequence[int], depth: int, width: int, stem: int, classes: int
) -> Count:
    """Of the network of `models/wide_resnet.py`; norms are not counted."""
    height, wide, channels = image_shape
    layers, inputs = [2 * stem * height * wide * channels * 9], stem
    for stage in range(3):
        for block in range((depth - 4) // 6):
            filters, stride = 16 * width * 2**stage, 2 if stage and not block else 1
            height, wide = height // stride, wide // stride
            each = 2 * filters * height * wide
            changes = inputs != filters or stride != 1
            layers.append(each * (9 * inputs + 9 * filters + inputs * changes))
            inputs = filters
    return Count((*layers, 2 * inputs * classes))
