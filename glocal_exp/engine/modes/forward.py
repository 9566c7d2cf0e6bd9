"""Forward mode: tangents of the whole training state, pushed along with it (Eq. 12)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan
from glocal_exp.engine.settings import check_counts
from glocal_exp.engine.work import Marks, Segment, Work
from glocal_exp.hypergrad import contract, contract_parts, count, push_tangents, zero_tangents
from glocal_exp.hypergrad.forward import (
    Parts,
    add_weighted,
    along,
    norm,
    sharpness,
    with_params,
    zeros_like_result,
)
from glocal_exp.types import Batch, Hyperparams, InnerState, Scalar, Tangents

Observe = Callable[[InnerState, Batch, PRNGKeyArray], PyTree]
"""What is to be summed over the steps, from a step's state, batch and key."""


class Tangential(eqx.Module):
    """What is carried along with the state."""

    tangents: Tangents  # Z
    # of the parameters and of their tangents, summed over the window so far; None where no method
    # wants it
    mean: tuple[PyTree, Tangents] | None
    discount: Scalar | None = None  # in this interval, where the method adapts it


@dataclass(frozen=True)
class Forward(Mode):
    """A tangent for each hyperparameter; serves whatever a method wants.

    Attributes:
        chunk: tangents pushed at a time, to bound memory; all q if None.
    """

    chunk: int | None = None

    name = "forward"
    counts = "tangent_steps"

    def __post_init__(self):
        check_counts(self, "chunk", group="hypergradient.")

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Tangential | None:
        wanted = plan.wanted
        if not wanted:
            return None
        started = start_tangents(state, count(phi), wanted.mean > 0)
        return _discounted(started, wanted.discount) if wanted.adapts else started

    def prepare(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[], None]
    ) -> Snapshots:
        """With the discounts that the method adapts; where tangents go on, a mean begins anew."""
        wanted, place = work.plan.wanted, next(iter(snapshots.values())).position
        begins = place == Position(place.outer_step) and work.plan.carries and wanted.mean

        def prepared(snapshot: Snapshot) -> Snapshot:
            carry: Any = snapshot.carry
            if begins:
                mean = jax.tree.map(jnp.zeros_like, carry.mean)
                carry = Tangential(carry.tangents, mean, carry.discount)
            if wanted.adapts:
                carry = _discounted(carry, snapshot.memory.get("discount", wanted.discount))
            return replace(snapshot, carry=carry)

        return {seed: prepared(snapshot) for seed, snapshot in snapshots.items()}

    def mean(self, snapshot: Snapshot) -> PyTree | None:
        return mean_params(snapshot.carry)

    def train(self, work: Work) -> Callable[..., Segment]:
        return lambda *arguments: train_along(work, *arguments, chunk=self.chunk)[0]


def _discounted(carry: Tangential, discount: Any) -> Tangential:
    return Tangential(carry.tangents, carry.mean, jnp.asarray(discount, jnp.result_type(float)))


def mean_params(carry: Tangential | None) -> PyTree | None:
    """Those of the window, at its end; None where no method wants them."""
    return carry and carry.mean and carry.mean[0]


def start_tangents(state: InnerState, columns: int, mean: bool = False) -> Tangential:
    """Z = 0 in so many columns, and the sums of a mean if one is wanted."""
    tangents = zero_tangents(state, columns)
    if not mean:
        return Tangential(tangents, None)
    params = jax.tree.map(jnp.zeros_like, eqx.filter(state.params, eqx.is_inexact_array))
    return Tangential(tangents, (params, jax.tree.map(jnp.copy, tangents.params)))


def train_along(
    work: Work,
    state: InnerState,
    phi: Hyperparams,
    carry: Tangential,
    key: PRNGKeyArray,
    indices: Array,
    data: Any,
    marks: Marks,
    *,
    directions: Float[Array, "q r"] | None = None,
    chunk: int | None = None,
    observe: Observe | None = None,
) -> tuple[Segment, PyTree]:
    """Train and push tangents along `directions`, q by default, measuring at the marked steps.

    Returns:
        What the segment leaves, and the sums of what `observe` saw.
    """
    problem = work.problem
    measure, wanted = _Measure(work, phi, data, directions), work.plan.wanted

    def body(carried: tuple, inputs: tuple) -> tuple:
        state, carry, sums = carried
        chosen, following, marks = inputs
        batch, step_key = work.batch(data, key, state.step, chosen)
        if observe is not None:
            sums = jax.tree.map(jnp.add, sums, observe(state, batch, step_key))

        def step(state: InnerState, phi: Hyperparams) -> tuple[InnerState, Array]:
            return problem.step(state, phi, batch, step_key)

        push = partial(push_tangents, step, state, phi, directions=directions, chunk=chunk)
        kept, discount = (
            carry.tangents,
            wanted.discount if carry.discount is None else carry.discount,
        )
        if carry.discount is not None or discount != 1:
            kept = jax.tree.map(lambda leaf: (discount * leaf).astype(leaf.dtype), kept)
        fresh = None if marks.newest is None else push(jax.tree.map(jnp.zeros_like, kept))[1]
        state, tangents, loss = push(kept)
        rows, found = {}, None
        if marks.steps is not None:
            found = where(marks.steps, measure.at, state, tangents)
            rows |= {"h": found.total, "values": found.value}
            if marks.newest is not None:
                rows["newest"] = along(found.gradient, fresh, found.direct)
        if marks.training is not None:
            next_batch = work.batch(data, key, state.step, following)
            rows |= where(marks.training, measure.training, state, tangents, *next_batch)
        mean = carry.mean
        if mean is not None:
            mean = add_weighted(mean, marks.weights, (state.params, tangents.params))
            there = where(marks.ends, measure.at_mean, state, *mean)
            rows |= at_mean(there)
            if found is not None and marks.bends is not None:
                gradients = found.gradient.params, there.gradient
                bend = partial(sharpness, lambda s: step(s, phi))
                rows["sharpness"] = where(marks.bends, bend, state, mean[0], gradients)
        return (state, Tangential(tangents, mean, carry.discount), sums), (rows, loss)

    sums = None
    if observe is not None:
        seen = work.batch(data, key, state.step, indices[0])
        sums = jax.tree.map(jnp.zeros_like, jax.eval_shape(observe, state, *seen))
    steps = indices if marks.training is None else indices[:-1]
    following = None if marks.training is None else indices[1:]
    carried, (rows, losses) = jax.lax.scan(body, (state, carry, sums), (steps, following, marks))
    state, carry, sums = carried
    return Segment(state, carry, rows, losses, work.finite(state)), sums


class _Measure:
    """Hypergradients along directions, at different points."""

    def __init__(self, work: Work, phi: Hyperparams, data: Any, directions: Array | None):
        self._problem, self._phi, self._directions = work.problem, phi, directions
        self._batch = data.for_hypergradients
        self._wanted = work.plan.wanted
        self._whole: dict[str, Any] = {"directions": directions, **work.chunks}

    def at(self, state: InnerState, tangents: Tangents) -> Parts:
        found = contract(self._problem, state, self._phi, tangents, self._batch, **self._whole)
        return self._kept(found)

    def at_mean(self, state: InnerState, params: PyTree, tangents: Tangents) -> Parts:
        """Of the mean parameters alone; the rest of the state is what it is."""

        def loss(params: PyTree, phi: Hyperparams, batch: Batch) -> Array:
            return self._problem.meta_loss(with_params(state, params), phi, batch)

        found = contract_parts(loss, params, self._phi, tangents, self._batch, **self._whole)
        return self._kept(found)

    def _kept(self, found: Parts) -> Parts:
        """Without the gradient, where nothing comes of it."""
        kept = self._wanted.sharpness or self._wanted.newest
        return found if kept else found._replace(gradient=None)

    def training(
        self, state: InnerState, tangents: Tangents, batch: Batch, key: PRNGKeyArray
    ) -> dict[str, Array]:
        """By the names of rows."""
        inexact, rest = eqx.partition(state, eqx.is_inexact_array)

        def loss(inexact: PyTree, phi: Hyperparams, batch: Batch) -> Array:
            return self._problem.step(eqx.combine(inexact, rest), phi, batch, key)[1]

        contracted = partial(contract_parts, directions=self._directions)
        found = contracted(loss, inexact, self._phi, tangents, batch)
        if not self._wanted.sizes:
            return {"training": found.total}
        size = norm(found.gradient.params) * jax.vmap(norm)(tangents.params)
        return {"training": found.total, "sizes": size}


def at_mean(found: Parts) -> dict[str, Array]:
    """By the names of rows."""
    return {"mean": found.through, "mean_direct": found.direct, "mean_value": found.value}


def where(wanted: Array, function: Callable, *arguments: Any) -> Any:
    """What the function gives where it is wanted, else zeros without computing it."""
    zeros = zeros_like_result(function, *arguments)
    return jax.lax.cond(wanted, function, lambda *_: zeros, *arguments)
