"""A matrix product that stays fast when tangents are pushed through its gradient.

JAX writes the derivative of `a @ b` by `b` as `(dc^T a)^T`. For one tangent XLA folds the
transposes away; vmapped over q tangents it copies every large matrix into another layout and back,
which was a sixth of LeNet's tangent step on a CPU. Here each derivative is written in the order in
which its result is stored, and a vmapped axis stays in front.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


def product(a: Float[Array, "m k"], b: Float[Array, "k n"]) -> Float[Array, "m n"]:
    """`a @ b` for two matrices; differentiable to any order, forward and reverse."""
    return _bind(a, b)


def _bind(a: Array, b: Array, *, flip_a: bool = False, flip_b: bool = False) -> Array:
    return _product.bind(a, b, flip_a=flip_a, flip_b=flip_b)


def _evaluate(a: Array, b: Array, *, flip_a: bool, flip_b: bool) -> Array:
    """Matrices in the last two axes, transposed first where flipped; the axes before broadcast."""
    if a.ndim > 2 and b.ndim == 2 and not flip_a:
        return jnp.tensordot(a, b, ((-1,), (1 if flip_b else 0,)))  # one product of all rows
    return jnp.matmul(a.mT if flip_a else a, b.mT if flip_b else b)


def _transpose_a(dc: Array, a: Any, b: Array, *, flip_a: bool, flip_b: bool) -> Array:
    if flip_a:
        return _sum_to(_bind(b, dc, flip_a=flip_b, flip_b=True), a.aval.shape)
    return _sum_to(_bind(dc, b, flip_b=not flip_b), a.aval.shape)


def _transpose_b(dc: Array, a: Array, b: Any, *, flip_a: bool, flip_b: bool) -> Array:
    if flip_b:
        return _sum_to(_bind(dc, a, flip_a=True, flip_b=flip_a), b.aval.shape)
    return _sum_to(_bind(a, dc, flip_a=not flip_a), b.aval.shape)


def _sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """The transpose of broadcasting the axes before the last two."""
    x = x.sum(tuple(range(x.ndim - len(shape))))
    spread = [axis for axis, size in enumerate(shape[:-2]) if size == 1 != x.shape[axis]]
    return x.sum(tuple(spread), keepdims=True)


def _batch(operands: tuple, axes: tuple, **flips: bool) -> tuple[Array, int]:
    """The mapped axis comes first, before as many axes as the other operand has."""
    moved = [
        x if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    ]
    inner = max(x.ndim - (axis is not None) for x, axis in zip(moved, axes, strict=True))
    a, b = (
        x if axis is None else jnp.expand_dims(x, tuple(range(1, 2 + inner - x.ndim)))
        for x, axis in zip(moved, axes, strict=True)
    )
    return _bind(a, b, **flips), 0


def _shape(a: Any, b: Any, **flips: bool) -> ShapedArray:
    arrays = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (a, b))
    out = jax.eval_shape(partial(_evaluate, **flips), *arrays)
    return ShapedArray(out.shape, out.dtype)


_product = Primitive("product")
_product.def_impl(jax.jit(_evaluate, static_argnames=("flip_a", "flip_b")))
_product.def_abstract_eval(_shape)
ad.defbilinear(_product, _transpose_a, _transpose_b)
batching.primitive_batchers[_product] = _batch
mlir.register_lowering(_product, mlir.lower_fun(_evaluate, multiple_results=False))
