"""Forward-mode hypergradients: tangents of the whole training state (Eq. 12).

Z_t = dx_t/dphi follows the training step by the chain rule,

    Z_t = (d Theta / d x) Z_{t-1} + d Theta / d phi,        Z_0 = 0,

and the hypergradient of the validation loss at any t is one gradient contracted with Z_t:

    h_t = d loss/d phi + (d loss/d x_t) Z_t.

Memory is q copies of the state, whatever the number of steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Scalar, Stepped, Tangents

Loss = Callable[[PyTree, Hyperparams, Batch], Scalar]

_pushing = ContextVar("pushing", default=False)
"""Whether the code being traced is a step that tangents are pushed through."""


def count(phi: Hyperparams) -> int:
    """q, the number of hyperparameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(phi))


def names(phi: Hyperparams) -> tuple[str, ...]:
    """The q hyperparameters in the order of the hypergradient: their paths in the tree."""
    named = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(phi):
        name = jax.tree_util.keystr(path, simple=True, separator="/") or "phi"
        named += [name] if leaf.ndim == 0 else [f"{name}[{index}]" for index in range(leaf.size)]
    return tuple(named)


def zero_tangents(state: InnerState, q: int) -> Tangents:
    """Z = 0 for q directions: inexact leaves (q, ...), None for counts and other integers."""
    inexact, _ = eqx.partition(state, eqx.is_inexact_array)
    return jax.tree.map(lambda leaf: jnp.zeros((q, *leaf.shape), leaf.dtype), inexact)


def push_tangents(
    step: Callable[[InnerState, Hyperparams], Stepped],
    state: InnerState,
    phi: Hyperparams,
    tangents: Tangents,
    *,
    directions: Float[Array, "q r"] | None = None,
    chunk: int | None = None,
) -> tuple[InnerState, Tangents, Scalar]:
    """One training step for the state and its r tangents together; the primal is computed once.

    Args:
        step: maps (state, phi) to (next state, training loss); batch and key are bound.
        tangents: leading axis r.
        directions: columns are the directions in phi that the tangents differentiate along;
            the identity (r = q) by default.
        chunk: push at most this many tangents at a time, to bound memory; all by default.

    Returns:
        The next state, its tangents and the training loss.
    """
    inexact, rest = eqx.partition(state, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(phi)
    columns = jnp.eye(flat.size, dtype=flat.dtype) if directions is None else directions.T

    def advance(inexact: PyTree, flat: Array) -> tuple[PyTree, tuple[PyTree, Array]]:
        with tracing(_pushing):
            new_state, loss = step(eqx.combine(inexact, rest), unravel(flat))
        new_inexact, new_rest = eqx.partition(new_state, eqx.is_inexact_array)
        return new_inexact, (new_rest, loss)

    if chunk is None or chunk >= columns.shape[0]:

        def push(tangent: PyTree, direction: Array) -> tuple:
            return jax.jvp(advance, (inexact, flat), (tangent, direction), has_aux=True)

        # vmap leaves what no tangent enters unbatched, so the primal is computed once.
        push_all = jax.vmap(push, out_axes=(None, 0, None))
        new_inexact, new_tangents, (new_rest, loss) = push_all(tangents, columns)
    else:
        new_inexact, linear, (new_rest, loss) = jax.linearize(advance, inexact, flat, has_aux=True)
        pairs = (tangents, columns)
        new_tangents = jax.lax.map(lambda pair: linear(*pair), pairs, batch_size=chunk)
    return eqx.combine(new_inexact, new_rest), new_tangents, loss


class Parts(NamedTuple):
    """The derivative of a mean loss through a point and directly, the loss, and its gradient."""

    through: Float[Array, " r"]
    direct: Float[Array, " r"]
    value: Scalar
    gradient: PyTree

    @property
    def total(self) -> Float[Array, " r"]:
        """h."""
        return self.direct + self.through


def contract(
    problem: InnerProblem,
    state: InnerState,
    phi: Hyperparams,
    tangents: Tangents,
    validation: Batch,
    *,
    directions: Float[Array, "q r"] | None = None,
    chunk: int | None = None,
    chunks_at_once: int = 1,
) -> Parts:
    """h = direct term + gradient . Z (Eq. 12) over `validation`, in chunks of so many examples."""
    inexact, rest = eqx.partition(state, eqx.is_inexact_array)

    def loss(inexact: PyTree, phi: Hyperparams, batch: Batch) -> Scalar:
        return problem.meta_loss(eqx.combine(inexact, rest), phi, batch)

    parts = partial(contract_parts, loss, inexact, phi, tangents, validation)
    return parts(directions=directions, chunk=chunk, chunks_at_once=chunks_at_once)


def contract_parts(
    loss: Loss,
    point: PyTree,
    phi: Hyperparams,
    tangents: Tangents,
    batch: Batch,
    *,
    directions: Float[Array, "q r"] | None = None,
    chunk: int | None = None,
    chunks_at_once: int = 1,
) -> Parts:
    """A mean loss, and its derivative through `point`, whose tangents these are, and directly."""
    value, gradients = mean_gradient(loss, point, phi, batch, chunk, at_once=chunks_at_once)
    by_point, by_phi = gradients
    direct = ravel_pytree(by_phi)[0]
    if directions is not None:
        direct = direct @ directions

    return Parts(along(by_point, tangents, direct), direct, value, by_point)


def along(gradient: PyTree, tangents: Tangents, like: Float[Array, " r"]) -> Float[Array, " r"]:
    """A gradient's products with r tangents, zeros like those given if it has no leaves."""

    def dot(gradient: Array, tangent: Array) -> Array:
        return jnp.tensordot(tangent, gradient, gradient.ndim)

    return sum(jax.tree.leaves(jax.tree.map(dot, gradient, tangents)), jnp.zeros_like(like))


def norm(tree: PyTree) -> Scalar:
    """Euclidean, of all leaves together."""
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


def sharpness(
    step: Callable[[InnerState], Stepped],
    state: InnerState,
    params: PyTree,
    gradients: tuple[PyTree, PyTree],
) -> Scalar:
    """-<g, u> / <g, x>: from other parameters to a state's, gradients differ by g, steps by u.

    With x the way between the two, and a step u of -rate P times the gradient, whatever momentum
    adds: of a quadratic an average of rate P curvature, no more than the largest, by which the edge
    of stability is told. 0 where the loss does not bend up.

    Args:
        step: a training step, on the same batch for both.
        gradients: of the loss by the state's parameters, and by the others.
    """

    def moved(state: InnerState) -> PyTree:
        before, after = (
            eqx.filter(s.params, eqx.is_inexact_array) for s in (state, step(state)[0])
        )
        return jax.tree.map(jnp.subtract, after, before)

    own = eqx.filter(state.params, eqx.is_inexact_array)
    pairs = (own, params), (moved(state), moved(with_params(state, params))), gradients
    x, u, g = (jax.tree.map(jnp.subtract, *pair) for pair in pairs)
    along, across = (
        sum(jax.tree.leaves(jax.tree.map(jnp.vdot, g, other)), jnp.zeros(())) for other in (x, u)
    )
    return jnp.where(along > 0, -across / jnp.where(along > 0, along, 1), 0)


def mean_gradient(
    loss: Loss, point: PyTree, phi: Hyperparams, batch: Batch, chunk: int | None, *, at_once: int
) -> tuple[Scalar, tuple[PyTree, Hyperparams]]:
    """A mean loss, and its gradient by `point` and by phi."""

    def gradient(batch: Batch) -> tuple[Scalar, tuple[PyTree, Hyperparams]]:
        return jax.value_and_grad(loss, argnums=(0, 1))(point, phi, batch)

    return mean_over_chunks(gradient, batch, chunk, at_once=at_once)


def mean_over_chunks(
    function: Callable[[Batch], PyTree], batch: Batch, chunk: int | None, *, at_once: int = 1
) -> PyTree:
    """The mean of `function` over the examples of `batch`, evaluated `chunk` examples at a time.

    `function` maps a batch to means over its examples. A last, shorter chunk is weighted by its
    size. Memory is that of `at_once` chunks, which the compiler may work on side by side; inside a
    step that tangents are pushed through it is one, for q tangents keep all cores busy and two
    chunks of them only compete for the cache.
    """
    size = jax.tree.leaves(batch)[0].shape[0]
    if chunk is None or chunk >= size:
        return function(batch)
    full, left = divmod(size, chunk)
    chunks, rest = cut(batch, chunk)
    zero = zeros_like_result(function, jax.tree.map(lambda leaf: leaf[0], chunks))

    def add(total: PyTree, piece: Batch) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, function(piece)), None

    unroll = 1 if _pushing.get() else min(at_once, full)
    total, _ = jax.lax.scan(add, zero, chunks, unroll=unroll)
    total = jax.tree.map(lambda leaf: leaf * (chunk / size), total)
    if left:
        total = jax.tree.map(lambda a, b: a + b * (left / size), total, function(rest))
    return total


def cut(tree: PyTree, length: int) -> tuple[PyTree, PyTree]:
    """Pieces of the leading axis, with an axis of them in front, and what is left over."""
    full = jax.tree.leaves(tree)[0].shape[0] // length

    def pieces(leaf: Any) -> Any:
        return leaf[: full * length].reshape(full, length, *leaf.shape[1:])

    return jax.tree.map(pieces, tree), jax.tree.map(lambda leaf: leaf[full * length :], tree)


def zeros_like_result(function: Callable, *arguments: PyTree) -> PyTree:
    """Zeros in place of what the function would give."""
    shapes = jax.eval_shape(function, *arguments)
    return jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), shapes)


def with_params(state: InnerState, params: PyTree) -> InnerState:
    """The state with other numbers for its inexact parameters."""
    return InnerState(eqx.combine(params, state.params), state.opt_state, state.step)


def add_weighted(mean: PyTree, weight: Scalar, values: PyTree) -> PyTree:
    """One more term in the mean of the inexact leaves of `values`."""
    values = eqx.filter(values, eqx.is_inexact_array)
    return jax.tree.map(lambda m, x: m + weight.astype(m.dtype) * x, mean, values)


@contextmanager
def tracing(kind: ContextVar[bool]) -> Iterator[None]:
    """Trace code of some kind."""
    token = kind.set(True)
    try:
        yield
    finally:
        kind.reset(token)
