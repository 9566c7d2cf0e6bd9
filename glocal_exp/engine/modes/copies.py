"""No derivatives: copies train beside the state, their hyperparameters moved either way."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots
from glocal_exp.engine.modes.forward import where
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.work import Segment, Work
from glocal_exp.hypergrad.forward import count, mean_over_chunks
from glocal_exp.methods.method import Measured
from glocal_exp.records import Costs
from glocal_exp.types import Batch, Hyperparams, InnerState


class Particles(eqx.Module):
    """Pairs of copies: those moved up, then those moved down, (2 pairs, ...)."""

    states: InnerState
    moves: Float[Array, "pairs q"]  # of the pairs in this interval
    moved: Float[Array, "pairs q"]  # their sum since the copies began


@dataclass(frozen=True)
class Copies(Mode):
    """Antithetic pairs see the same batches as the state that they start from.

    They start anew in each interval, as for evolution strategies, or go on as they are with
    `carry_tangents`, as for their persistent kind (Vicol et al. 2021).
    """

    name = "copies"
    counts = "plain_steps"

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        if plan.wanted.derivatives:
            return "compares copies and differentiates nothing, as this method asks"
        if plan.wanted and plan.lookahead(1) > 0:
            return "trains its copies for one interval and this method plays out more"
        return None

    def costs(self, plan: Plan, length: int) -> Costs:
        return Costs(plain_steps=length * (1 + 2 * plan.wanted.copies))

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Particles | None:
        if columns is None:
            return None
        zero = jnp.zeros((columns, count(phi)), ravel_pytree(phi)[0].dtype)
        arrays = eqx.filter(state, eqx.is_array)
        copies = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], 2 * columns, axis=0), arrays)
        return Particles(copies, zero, zero)

    def columns(self, carry: Particles | None) -> int | None:
        return None if carry is None else len(carry.moves)

    def prepare(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[], None]
    ) -> Snapshots:
        """Draw each pair's moves where an outer step begins."""
        wanted, place = work.plan.wanted, next(iter(snapshots.values())).position

        def moved(seed: int, snapshot: Snapshot) -> Snapshot:
            old: Any = snapshot.carry
            if old is not None and wanted.single:
                return snapshot
            if old is None:
                old = self.start(work.plan, snapshot.state, snapshot.phi, wanted.copies)
            random = np.random.default_rng([seed, place.outer_step])
            drawn = random.standard_normal(old.moves.shape)
            moves = jnp.asarray(wanted.scale * drawn, old.moves.dtype)
            return replace(snapshot, carry=Particles(old.states, moves, old.moved + moves))

        if place != Position(place.outer_step) or not wanted:
            return snapshots
        return {seed: moved(seed, snapshot) for seed, snapshot in snapshots.items()}

    def train(self, work: Work) -> Callable[..., Segment]:
        problem = work.problem

        def train(state, phi, carry, key, indices, data, marks) -> Segment:
            flat, unravel = ravel_pytree(phi)
            phis = jax.vmap(unravel)(flat + jnp.concatenate([carry.moves, -carry.moves]))

            def losses(states: InnerState) -> Array:
                def losses_on(piece: Batch) -> Array:
                    return jax.vmap(problem.meta_loss, (0, 0, None))(states, phis, piece)

                numerics = work.plan.numerics
                chunk, at_once = numerics.validation_chunk, numerics.chunks_at_once
                return mean_over_chunks(losses_on, data.for_hypergradients, chunk, at_once=at_once)

            def body(carried: tuple, inputs: tuple) -> tuple:
                (state, states), (chosen, ends) = carried, inputs
                batch = work.batch(data, key, state.step, chosen)
                state, loss = problem.step(state, phi, *batch)
                states, _ = jax.vmap(problem.step, (0, 0, None, None))(states, phis, *batch)
                return (state, states), (where(ends, losses, states), loss)

            start, inputs = (state, carry.states), (indices, marks.copies)
            (state, states), (rows, loss) = jax.lax.scan(body, start, inputs)
            carry = Particles(states, carry.moves, carry.moved)
            return Segment(state, carry, {"losses": rows}, loss, work.finite(state))

        return train

    def read(self, snapshot: Snapshot) -> tuple[Measured, dict[str, float]]:
        if snapshot.carry is None:
            return super().read(snapshot)
        losses = snapshot.measured["losses"][-1].reshape(2, -1).T
        return Measured(losses=losses, moves=np.asarray(snapshot.carry.moved, np.float64)), {}
