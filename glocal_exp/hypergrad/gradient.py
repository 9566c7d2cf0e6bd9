"""The gradient of a training loss, written so that a sweep back through it is cheap.

A sweep back needs the transpose of the gradient's derivative, H = d^2 loss / d z^2 for everything z
that the loss depends on. H is symmetric, so its transpose times lambda is H lambda: the forward
derivative of the gradient along lambda (Pearlmutter 1994), which works through the examples chunk
by chunk and keeps nothing, where differentiating the gradient's own backward pass would keep the
intermediate arrays of all chunks.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.core import Tracer, eval_jaxpr
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, PyTree

from glocal_exp.errors import UserError
from glocal_exp.hypergrad.forward import mean_over_chunks, tracing
from glocal_exp.types import Batch, Scalar

GRADIENT = "gradient"
"""What the gradient is called where it is decided which arrays to keep for the sweep back."""

_pulling = ContextVar("pulling", default=False)
"""Whether the code being traced is a step that is swept back through."""

while_pulling = partial(tracing, _pulling)
"""Trace a step that is to be swept back through."""


def value_and_gradient(
    loss: Callable[[PyTree, Batch], Scalar],
    params: PyTree,
    batch: Batch,
    *,
    chunk: int | None = None,
    at_once: int = 1,
) -> tuple[Scalar, PyTree]:
    """A mean loss over the examples of `batch` and its gradient, `chunk` examples at a time.

    `loss` may depend on hyperparameters that it encloses. Inside a step that is swept back through
    only reverse mode can differentiate the result, and the examples have to be constants.

    Raises:
        UserError: when they are not, but depend on what is swept back to.
    """
    if not _pulling.get():
        return mean_over_chunks(
            lambda piece: jax.value_and_grad(loss)(params, piece), batch, chunk, at_once=at_once
        )
    explicit, enclosed, others = _open(loss, params, batch, chunk)
    return _symmetric(explicit, chunk, at_once)(params, enclosed, others, batch)


def _symmetric(explicit: Callable, chunk: int | None, at_once: int) -> Callable:
    """Loss and gradient whose transposed derivative is a forward derivative of the gradient."""

    def gradient(varying: tuple, others: list, piece: Batch) -> tuple:
        return jax.value_and_grad(explicit)(varying, others, piece)

    def evaluate(params: PyTree, enclosed: list, others: list, batch: Batch) -> tuple:
        def function(piece: Batch) -> tuple:
            value, (by_params, _) = gradient((params, enclosed), others, piece)
            return value, by_params

        value, by_params = mean_over_chunks(function, batch, chunk, at_once=at_once)
        return value, jax.tree.map(lambda leaf: checkpoint_name(leaf, GRADIENT), by_params)

    def forward(*primals: PyTree) -> tuple:
        if any(example.perturbed for example in jax.tree.leaves(primals[-1])):
            raise UserError(
                "The examples of a training step depend on the hyperparameters, and "
                "value_and_gradient takes them for constants; let its loss enclose what depends."
            )
        values = jax.tree.map(lambda primal: primal.value, primals)
        loss, by_params = evaluate(*values)
        return (loss, by_params), (*values, by_params)

    def backward(kept: tuple, cotangents: tuple) -> tuple:
        params, enclosed, others, batch, by_params = kept
        by_value, along = jax.tree.map(_instantiated, cotangents)
        direction = (along, jax.tree.map(jnp.zeros_like, enclosed))

        def push(piece: Batch) -> tuple:
            def gradients(varying: tuple) -> tuple:
                return gradient(varying, others, piece)[1]

            (_, by_enclosed), pushed = jax.jvp(gradients, ((params, enclosed),), (direction,))
            return pushed, by_enclosed

        (curved, mixed), by_enclosed = mean_over_chunks(push, batch, chunk, at_once=at_once)

        def add(pushed: Array, gradient: Array) -> Array:
            return pushed + by_value * gradient

        curved, mixed = jax.tree.map(add, (curved, mixed), (by_params, by_enclosed))
        return curved, mixed, None, None

    function = jax.custom_vjp(evaluate)
    function.defvjp(forward, backward, symbolic_zeros=True)
    return function


def _instantiated(cotangent: Any) -> Array:
    if not isinstance(cotangent, SymbolicZero):
        return cotangent
    shaped: Any = cotangent.aval
    return jnp.zeros(shaped.shape, shaped.dtype)


def _open(
    loss: Callable, params: PyTree, batch: Batch, chunk: int | None
) -> tuple[Callable, list, list]:
    """The loss as a function of all that it depends on.

    Of `lambda w, piece: rate * f(w, piece, key)`, whose rate depends on phi, it is
    `explicit((w, [rate]), [key], piece)`. Pieces have two lengths at most, each with its own trace.

    Returns:
        It, and the traced arrays that `loss` encloses: those to be differentiated by, and counts or
        keys, each list with None in the places of the other.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    full = min(chunk or size, size)
    opened = {
        length: jax.make_jaxpr(loss)(params, jax.tree.map(lambda x: x[:length], batch))  # noqa: B023
        for length in {full, size % full} - {0}
    }

    def traced(consts: list) -> tuple[list, list]:
        return eqx.partition(consts, lambda const: isinstance(const, Tracer))

    def explicit(varying: tuple, others: list, piece: Batch) -> Array:
        params, enclosed = varying
        closed = opened[jax.tree.leaves(piece)[0].shape[0]]
        consts = eqx.combine(enclosed, others, traced(closed.consts)[1])
        (value,) = eval_jaxpr(closed.jaxpr, consts, *jax.tree.leaves((params, piece)))
        return value

    enclosed, others = eqx.partition(traced(opened[full].consts)[0], eqx.is_inexact_array)
    return explicit, enclosed, others
