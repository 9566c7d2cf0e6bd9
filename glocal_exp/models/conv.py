"""Convolutions, and the one place where the platform picks how they are computed.

XLA:CPU runs a convolution inside a compiled loop about ten times slower than outside of one
(jax-ml/jax issue 12868), so on a CPU it is written as one matrix product; on an accelerator it is
`lax.conv`. Weights have the same layout (out, in, height, width) either way, so a checkpoint moves
from one platform to the other.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from glocal_exp.models.product import product

Convolution = Literal["auto", "tiles", "lax"]
"""`tiles` as matrix products, `lax` by the platform's library, `auto` by platform."""

LAYOUT = ("CHWN", "OIHW", "CHWN")
"""Examples last: a filter's products with all of them are one long row."""


def resolve(convolution: Convolution) -> Convolution:
    """`auto` becomes `tiles` on a CPU and `lax` elsewhere."""
    if convolution == "auto":
        return "tiles" if jax.default_backend() == "cpu" else "lax"
    return convolution


def conv(
    x: Float[Array, "channels height width batch"],
    weight: Float[Array, "filters channels size size"],
    *,
    stride: int = 1,
    convolution: Convolution = "auto",
) -> Float[Array, "filters height/stride width/stride batch"]:
    """A convolution of odd size, padded with zeros by half of it on every side.

    `stride` divides height and width.
    """
    if resolve(convolution) == "tiles":
        return _conv_columns(x, weight, stride)
    half = weight.shape[-1] // 2
    padding = ((half, half), (half, half))
    return jax.lax.conv_general_dilated(
        x, weight, (stride, stride), padding, dimension_numbers=LAYOUT
    )


def _conv_columns(x: Array, weight: Array, stride: int) -> Array:
    """All that an output sees as one column, and one matrix product (im2col).

    Rows are gathered after columns, as in `_conv_max_pool_tiles`.
    """
    filters, channels, size, _ = weight.shape
    _, height, width, batch = x.shape
    half, rows, columns = size // 2, height // stride, width // stride
    x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    x = jnp.concatenate([x[:, :, j : j + width : stride] for j in range(size)])
    x = jnp.concatenate([x[:, i : i + height : stride] for i in range(size)])
    matrix = weight.transpose(0, 2, 3, 1).reshape(filters, -1)
    y = product(matrix, x.reshape(size * size * channels, -1))
    return y.reshape(filters, rows, columns, batch)


def conv_max_pool(
    x: Float[Array, "channels height width batch"],
    weight: Float[Array, "filters channels size size"],
    bias: Float[Array, " filters"],
    convolution: Convolution,
) -> Float[Array, "filters pooled_height pooled_width batch"]:
    """A convolution without padding, then 2x2 max pooling.

    Height, width and `size - 1` are even. Any increasing activation may come after: it commutes
    with the maximum, at a quarter of the cost.
    """
    apply = _conv_max_pool_tiles if resolve(convolution) == "tiles" else _conv_max_pool_lax
    return apply(x, weight) + bias[:, None, None, None]


def _conv_max_pool_lax(x: Array, weight: Array) -> Array:
    y = jax.lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=LAYOUT)
    filters, height, width, batch = y.shape
    return y.reshape(filters, height // 2, 2, width // 2, 2, batch).max((2, 4))


def _conv_max_pool_tiles(x: Array, weight: Array) -> Array:
    """All four outputs of a pooling window from one input tile, as one matrix product.

    A 2x2 window of outputs sees a (size + 1)^2 tile of inputs. After space-to-depth such tiles are
    whole blocks, so gathering them copies (size + 1)^2 / 4 values for each output where im2col
    copies size^2; the price is (1 + 1/size)^2 times the multiplications. The pool is then a maximum
    over four slices of the product. Rows are gathered after columns: two short sums in the
    transpose rather than one long one. `split` and not indexing, for its transpose is one
    concatenation and not a sum of padded arrays.
    """
    channels, height, width, batch = x.shape
    filters, _, size, _ = weight.shape
    rows, columns = (height - size + 1) // 2, (width - size + 1) // 2
    blocks = (size + 1) // 2

    x = x.reshape(channels, height // 2, 2, width // 2, 2, batch).transpose(2, 4, 0, 1, 3, 5)
    x = x.reshape(4 * channels, height // 2, width // 2, batch)
    x = jnp.concatenate([x[:, :, j : j + columns] for j in range(blocks)])
    x = jnp.concatenate([x[:, i : i + rows] for i in range(blocks)])
    tiles = x.reshape(blocks**2 * 4 * channels, -1)

    shifts = [((i, 1 - i), (j, 1 - j)) for i in range(2) for j in range(2)]
    shifted = [jnp.pad(weight, ((0, 0), (0, 0), *shift)) for shift in shifts]
    matrix = jnp.stack(shifted).reshape(4, filters, channels, blocks, 2, blocks, 2)
    matrix = matrix.transpose(0, 1, 3, 5, 4, 6, 2).reshape(4 * filters, -1)

    y = _largest(product(matrix, tiles).reshape(4, filters, -1))
    return y.reshape(filters, rows, columns, batch)


@jax.custom_jvp
def _largest(y: Array) -> Array:
    """The maximum over a first axis of length 4; on a tie the first counts."""
    a, b, c, d = _quarters(y)
    return jnp.maximum(jnp.maximum(a, b), jnp.maximum(c, d))


@_largest.defjvp
def _largest_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """A selection by three comparisons: cheaper than the derivatives of three maxima."""
    largest = _largest(*primals)
    is_a, is_b, is_c, _ = (y == largest for y in _quarters(*primals))
    a, b, c, d = _quarters(*tangents)
    tangent = jnp.where(is_a, a, jnp.where(is_b, b, jnp.where(is_c, c, d)))
    return largest, tangent


def _quarters(y: Array) -> list[Array]:
    return [part[0] for part in jax.lax.split(y, (1, 1, 1, 1))]
