"""WideResNet (Zagoruyko and Komodakis 2016) with group norm and leaky ReLU (appendix B.1)."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.errors import UserError
from glocal_exp.models.conv import Convolution, conv
from glocal_exp.models.initializers import Initializer, initialize
from glocal_exp.models.product import product

STAGES = 3
EPSILON = 1e-5
"""Added to the variance; PyTorch's and Equinox's default."""

Features = Float[Array, "channels height width batch"]


class GroupNorm(eqx.Module):
    """Normalises each example over groups of channels, then scales and shifts channels.

    Mean and variance are taken in float32 at least.
    """

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]
    groups: int = eqx.field(static=True)

    def __init__(self, channels: int, groups: int):
        if channels % groups:
            raise UserError(
                f"model.groups={groups} does not divide the {channels} channels of a layer; choose "
                "a divisor of model.stem and of 16 model.width."
            )
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)
        self.groups = groups

    def __call__(self, x: Features) -> Features:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        grouped = x.astype(wide).reshape(self.groups, -1, *x.shape[1:])
        mean = grouped.mean((1, 2, 3), keepdims=True)
        variance = jnp.square(grouped - mean).mean((1, 2, 3), keepdims=True)
        y = ((grouped - mean) * jax.lax.rsqrt(variance + EPSILON)).reshape(x.shape)
        scale, shift = (p.astype(wide)[:, None, None, None] for p in (self.scale, self.shift))
        return (y * scale + shift).astype(x.dtype)


class Block(eqx.Module):
    """Twice norm, activation and 3x3 convolution, added to the input (pre-activation).

    Where the number of channels changes, a 1x1 convolution of the input stands for the input.
    """

    norms: tuple[GroupNorm, GroupNorm]
    convs: tuple[Array, Array]
    shortcut: Array | None
    stride: int = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        channels: int,
        filters: int,
        stride: int,
        groups: int,
        weight: Callable[[PRNGKeyArray, tuple[int, ...]], Array],
    ):
        first, second, third = jax.random.split(key, 3)
        self.norms = GroupNorm(channels, groups), GroupNorm(filters, groups)
        shapes = (filters, channels, 3, 3), (filters, filters, 3, 3)
        self.convs = weight(first, shapes[0]), weight(second, shapes[1])
        changes = channels != filters or stride != 1
        self.shortcut = weight(third, (filters, channels, 1, 1)) if changes else None
        self.stride = stride

    def __call__(
        self, x: Features, activate: Callable[[Array], Array], convolution: Convolution
    ) -> Features:
        def convolve(x: Array, weight: Array, stride: int) -> Array:
            return conv(x, weight.astype(x.dtype), stride=stride, convolution=convolution)

        y = convolve(activate(self.norms[0](x)), self.convs[0], self.stride)
        y = convolve(activate(self.norms[1](y)), self.convs[1], 1)
        return y + (x if self.shortcut is None else convolve(x, self.shortcut, self.stride))


class WideResNet(eqx.Module):
    """A 3x3 convolution, three stages of blocks, norm, activation, pooling and a linear layer.

    Called on a batch of images (batch, height, width, channels) of floats, it returns the logits
    (batch, classes) in the same type, whatever type it computes in. Stages have `width` times 16,
    32 and 64 channels and (depth - 4) / 6 blocks; the second and third halve height and width.
    """

    stem: Array
    blocks: tuple[Block, ...]
    norm: GroupNorm
    linear: tuple[Array, Array]
    negative_slope: float = eqx.field(static=True)
    pool: Literal["max", "mean"] = eqx.field(static=True)
    compute: Literal["bfloat16"] | None = eqx.field(static=True)
    rematerialize: bool = eqx.field(static=True)
    convolution: Convolution = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        *,
        image_shape: tuple[int, int, int],
        classes: int,
        depth: int,
        width: int,
        stem: int,
        groups: int,
        negative_slope: float,
        initializer: Initializer,
        linear_initializer: Initializer,
        pool: Literal["max", "mean"],
        compute: Literal["bfloat16"] | None = None,
        rematerialize: bool = False,
        convolution: Convolution = "auto",
    ):
        """Draw the initial weights.

        Args:
            stem: filters of the first convolution, 16 in the original.
            groups: of each group norm.
            pool: over all pixels, before the linear layer.
            compute: type of the activations and of the products' factors; that of the images if
                None. Weights, norms' means and variances and the logits keep theirs.
            rematerialize: keep only the blocks' inputs for the backward pass and compute the rest
                again. For a GPU: XLA for CPUs drops the barriers that would save memory by it, and
                there microbatches bound it.

        Raises:
            UserError: for a depth, groups or images that do not fit.
        """
        if depth < 10 or (depth - 4) % 6:
            raise UserError(f"model.depth={depth} is not 6 n + 4; try 10, 16, 22 or 28.")
        height, wide, colours = image_shape
        if height % 4 or wide % 4:
            raise UserError(f"WideResNet halves images twice; {height}x{wide} cannot be.")

        def weight(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
            return initialize(key, shape, initializer, negative_slope)[0]

        stem_key, blocks_key, linear_key = jax.random.split(key, 3)
        each = (depth - 4) // 6
        sizes = [stem, *(16 * width * 2**stage for stage in range(STAGES) for _ in range(each))]
        keys = jax.random.split(blocks_key, len(sizes) - 1)
        self.stem = weight(stem_key, (stem, colours, 3, 3))
        self.blocks = tuple(
            Block(k, sizes[i], sizes[i + 1], 2 if i in (each, 2 * each) else 1, groups, weight)
            for i, k in enumerate(keys)
        )
        self.norm = GroupNorm(sizes[-1], groups)
        shape = classes, sizes[-1]
        self.linear = initialize(linear_key, shape, linear_initializer, negative_slope)
        self.negative_slope, self.pool, self.compute = negative_slope, pool, compute
        self.rematerialize, self.convolution = rematerialize, convolution

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        dtype = x.dtype
        x = jnp.transpose(x, (3, 1, 2, 0)).astype(self.compute or dtype)
        x = conv(x, self.stem.astype(x.dtype), convolution=self.convolution)
        for block in self.blocks:
            x = self._through(block, x)
        x = self._activate(self.norm(x)).astype(dtype)
        x = x.max((1, 2)) if self.pool == "max" else x.mean((1, 2))
        weight, bias = self.linear
        return (product(weight, x) + bias[:, None]).T

    def _through(self, block: Block, x: Features) -> Features:
        def apply(block: Block, x: Features) -> Features:
            return block(x, self._activate, self.convolution)

        return (jax.checkpoint(apply) if self.rematerialize else apply)(block, x)

    def _activate(self, x: Array) -> Array:
        return jax.nn.leaky_relu(x, self.negative_slope)
