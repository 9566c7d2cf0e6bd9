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

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from glocal_exp.hypergrad.forward import mean_over_chunks
from glocal_exp.hypergrad.gradient import GRADIENT, while_pulling
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState

KEPT_BYTES = 2 * 2**30
"""Choice: states of an interval that may be kept without being asked; 180 of WideResNet 28-2's."""

Step = Callable[[InnerState, Hyperparams, PyTree], tuple[InnerState, Float[Array, ""]]]


def train_and_pull_back(
    problem: InnerProblem,
    step: Step,
    state: InnerState,
    phi: Hyperparams,
    inputs: PyTree,
    validation: Batch,
    *,
    block: int | None = None,
    chunk: int | None = None,
    chunks_at_once: int = 1,
) -> tuple[InnerState, Float[Array, " steps"], Float[Array, " q"]]:
    """Train along `inputs` and differentiate the validation loss at the end, Eq. 12 at the last t.

    The state that training starts from counts as a constant, as where Z starts from zero.

    Args:
        step: maps (state, phi, input) to (next state, training loss).
        inputs: what each step gets, with a leading axis of steps.
        block: states kept are those at the starts of blocks of so many steps, and those of one
            block, at the price of training once more; those of all steps by default.
        chunk: validation examples at a time; all by default.
        chunks_at_once: chunks that may be worked on side by side.

    Returns:
        The last state, the training losses and h.
    """

    def train(phi: Hyperparams) -> tuple[PyTree, tuple[PyTree, Array]]:
        with while_pulling():
            final, losses = _scan(step, state, phi, inputs, block)
        inexact, rest = eqx.partition(final, eqx.is_inexact_array)
        return inexact, (rest, losses)

    last, pull_back, (rest, losses) = jax.vjp(train, phi, has_aux=True)

    def loss(last: PyTree, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return problem.meta_loss(eqx.combine(last, rest), phi, batch)

    def gradient(batch: Batch) -> tuple[PyTree, Hyperparams]:
        return jax.grad(loss, argnums=(0, 1))(last, phi, batch)

    by_state, direct = mean_over_chunks(gradient, validation, chunk, at_once=chunks_at_once)
    (through_training,) = pull_back(by_state)
    h = jax.tree.map(jnp.add, direct, through_training)
    return eqx.combine(last, rest), losses, ravel_pytree(h)[0]


def block_for(state: InnerState, steps: int) -> int | None:
    """The block that keeps fewest states where those of all steps exceed `KEPT_BYTES`."""
    leaves = jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    return None if steps * size <= KEPT_BYTES else math.isqrt(steps - 1) + 1


def _scan(
    step: Step, state: InnerState, phi: Hyperparams, inputs: PyTree, block: int | None
) -> tuple[InnerState, Float[Array, " steps"]]:
    """All steps, of which the sweep back keeps states alone and computes the rest again."""
    keep = jax.checkpoint_policies.save_only_these_names(GRADIENT)

    @partial(jax.checkpoint, prevent_cse=False, policy=keep)  # a scan leaves nothing to merge
    def once(state: InnerState, given: PyTree) -> tuple[InnerState, Array]:
        return step(state, phi, given)

    @partial(jax.checkpoint, prevent_cse=False)
    def several(state: InnerState, given: PyTree) -> tuple[InnerState, Array]:
        return jax.lax.scan(once, state, given)

    steps = jax.tree.leaves(inputs)[0].shape[0]
    if block is None or block >= steps:
        return jax.lax.scan(once, state, inputs)
    whole = steps // block * block
    blocks = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, block, *leaf.shape[1:]), inputs)
    state, losses = jax.lax.scan(several, state, blocks)
    state, rest = jax.lax.scan(once, state, jax.tree.map(lambda leaf: leaf[whole:], inputs))
    return state, jnp.concatenate([losses.reshape(-1), rest])
