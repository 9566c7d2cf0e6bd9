"""Reverse-mode hypergradients: one sweep back through a stretch of training.

h = d loss(x_t) / d phi by the transpose of the chain rule of `forward`: the gradient of the
validation loss at the last state is pulled back step by step,

    lambda_{t-1} = lambda_t (d Theta / d x),        h += lambda_t (d Theta / d phi).

One sweep gives one h, that of the last step, at a cost that does not grow with q (section 3: it
suits many hyperparameters and short intervals). Memory grows with the number of steps; it is that
of their states and of one step's intermediate arrays, or of fewer states with `block`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from glocal_exp.hypergrad.forward import (
    Parts,
    add_weighted,
    cut,
    mean_gradient,
    sharpness,
    with_params,
)
from glocal_exp.hypergrad.gradient import GRADIENT, while_pulling
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Scalar, Stepped

KEPT_BYTES = 2 * 2**30
"""Choice: states of an interval that may be kept without being asked; 180 of WideResNet 28-2's."""


class PulledBack(NamedTuple):
    """What training along a stretch of steps leaves, and hypergradients at its end."""

    state: InnerState
    losses: Float[Array, " steps"]
    h: Float[Array, " q"] | None  # Eq. 12 at the last step, if that was asked for
    value: Scalar | None  # the validation loss at the last step, if h was asked for
    # the derivative at the weighted mean of the parameters, pulled back through it, and the loss
    # there, if there are weights
    mean: Parts | None
    average: PyTree | None  # that mean of the parameters
    sharpness: Scalar | None  # between the two, of the last step's batch, if that was asked for


def train_and_pull_back(
    problem: InnerProblem,
    step: Callable[[InnerState, Hyperparams, PyTree], Stepped],
    state: InnerState,
    phi: Hyperparams,
    inputs: PyTree,
    validation: Batch,
    *,
    last: bool = True,
    weights: Float[Array, " steps"] | None = None,
    bends: bool = False,
    block: int | None = None,
    chunk: int | None = None,
    chunks_at_once: int = 1,
) -> PulledBack:
    """Train along `inputs` and differentiate the validation loss by one sweep back.

    The state that training starts from counts as a constant, as where Z starts from zero.

    Args:
        step: maps (state, phi, input) to (next state, training loss).
        inputs: what each step gets, with a leading axis of steps.
        last: whether h at the last state is wanted.
        weights: of each step's parameters in a mean, at which the loss is differentiated too.
        bends: whether the sharpness between the two is wanted.
        block: states kept are those at the starts of blocks of so many steps, and those of one
            block, at the price of training once more; those of all steps by default.
        chunk: validation examples at a time; all by default.
        chunks_at_once: chunks that may be worked on side by side.
    """
    train = partial(_train, step, inputs=inputs, weights=weights, block=block)
    (end, mean), pull_back, (rest, losses) = jax.vjp(partial(train, state), phi, has_aux=True)
    state = eqx.combine(end, rest)

    def gradient_at(place: Callable[[PyTree], InnerState], point: PyTree) -> tuple:
        def loss(point: PyTree, phi: Hyperparams, batch: Batch) -> Scalar:
            return problem.meta_loss(place(point), phi, batch)

        return mean_gradient(loss, point, phi, validation, chunk, at_once=chunks_at_once)

    cotangents, direct, values = [], [], []
    nothing = jax.tree.map(jnp.zeros_like, (end, mean))
    if last:
        value, (by_state, by_phi) = gradient_at(lambda point: eqx.combine(point, rest), end)
        cotangents, direct, values = [(by_state, nothing[1])], [by_phi], [value]
    if weights is not None:
        value, (by_params, by_phi) = gradient_at(partial(with_params, state), mean)
        cotangents = [*cotangents, (nothing[0], by_params)]
        direct, values = [*direct, by_phi], [*values, value]
    pulled = _each(lambda cotangent: pull_back(cotangent)[0], cotangents)
    h = ravel_pytree(jax.tree.map(jnp.add, direct[0], pulled[0]))[0] if last else None
    value, at_mean, bend = values[0] if last else None, None, None
    if weights is not None:
        through, direct = ravel_pytree(pulled[-1])[0], ravel_pytree(direct[-1])[0]
        at_mean = Parts(through, direct, values[-1], cotangents[-1][1])
        if bends:
            final = jax.tree.map(lambda leaf: leaf[-1], inputs)
            gradients = cotangents[0][0].params, at_mean.gradient
            bend = sharpness(lambda s: step(s, phi, final), state, mean, gradients)
    return PulledBack(state, losses, h, value, at_mean, mean, bend)


def train_ahead(
    step: Callable[[InnerState, Hyperparams, PyTree], Stepped],
    state: InnerState,
    phi: Hyperparams,
    inputs: PyTree,
    block: int | None = None,
) -> tuple[InnerState, Float[Array, " steps"], Callable[[PyTree], tuple[PyTree, PyTree]]]:
    """Train along `inputs`, to be swept back through later: a stretch of a longer training.

    Returns:
        The last state, training losses, and what maps a cotangent of the last state's inexact
        leaves to those of the first one's and of phi: a tree of arrays, of the stretch's states
        and gradients.
    """
    start, fixed = eqx.partition(state, eqx.is_inexact_array)

    def train(start: PyTree, phi: Hyperparams) -> tuple[PyTree, tuple[PyTree, Array]]:
        (end, _), rest = _train(step, eqx.combine(start, fixed), phi, inputs, None, block)
        return end, rest

    end, pull_back, (rest, losses) = jax.vjp(train, start, phi, has_aux=True)
    return eqx.combine(end, rest), losses, pull_back


def _train(
    step: Callable,
    state: InnerState,
    phi: Hyperparams,
    inputs: PyTree,
    weights: Array | None,
    block: int | None,
) -> tuple[tuple[PyTree, PyTree], tuple[PyTree, Float[Array, " steps"]]]:
    """The last state's inexact leaves and the weighted mean, then the other leaves and losses."""
    zero = None
    if weights is not None:
        zero = jax.tree.map(jnp.zeros_like, eqx.filter(state.params, eqx.is_inexact_array))

    def averaging(carried: tuple, phi: Hyperparams, inputs: tuple) -> tuple:
        (state, mean), (chosen, weight) = carried, inputs
        state, loss = step(state, phi, chosen)
        if weight is not None:
            mean = add_weighted(mean, weight, state.params)
        return (state, mean), loss

    with while_pulling():
        (final, mean), losses = _scan(averaging, (state, zero), phi, (inputs, weights), block)
    inexact, rest = eqx.partition(final, eqx.is_inexact_array)
    return (inexact, mean), (rest, losses)


def _each(function: Callable, arguments: list) -> list:
    """The function of one argument, or of several at once."""
    if len(arguments) == 1:
        return [function(arguments[0])]
    results = jax.vmap(function)(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arguments))
    return [jax.tree.map(lambda leaf: leaf[i], results) for i in range(len(arguments))]  # noqa: B023


def block_for(state: InnerState, steps: int) -> int | None:
    """The block that keeps fewest states where those of all steps exceed `KEPT_BYTES`."""
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    return None if steps * size <= KEPT_BYTES else math.isqrt(steps - 1) + 1


def _scan(
    step: Callable, state: PyTree, phi: Hyperparams, inputs: PyTree, block: int | None
) -> tuple[PyTree, Float[Array, " steps"]]:
    """All steps, of which the sweep back keeps states alone and computes the rest again."""
    keep = jax.checkpoint_policies.save_only_these_names(GRADIENT)

    @partial(jax.checkpoint, prevent_cse=False, policy=keep)  # a scan leaves nothing to merge
    def once(state: PyTree, inputs: PyTree) -> tuple[PyTree, Array]:
        return step(state, phi, inputs)

    @partial(jax.checkpoint, prevent_cse=False)
    def several(state: PyTree, inputs: PyTree) -> tuple[PyTree, Array]:
        return jax.lax.scan(once, state, inputs)

    steps = jax.tree.leaves(inputs)[0].shape[0]
    if block is None or block >= steps:
        return jax.lax.scan(once, state, inputs)
    blocks, left = cut(inputs, block)
    state, losses = jax.lax.scan(several, state, blocks)
    state, rest = jax.lax.scan(once, state, left)
    return state, jnp.concatenate([losses.reshape(-1), rest])
