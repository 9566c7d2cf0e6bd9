"""A template: h by central differences of whole intervals (glocal_exp/engine/modes/<id>.py)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.work import Segment, Work
from glocal_exp.types import Hyperparams, InnerState


@dataclass(frozen=True)
class Differences(Mode):
    """Trains 2 q copies beside the state, each with one hyperparameter moved up or down.

    Attributes:
        radius: how far, in unconstrained units.
    """

    radius: float

    name = "differences"
    counts = "tangent_steps"  # the column of the records that its steps count in

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        """What it cannot serve, as the end of a sentence."""
        wanted, carried = plan.wanted, plan.plays_out or plan.carry_tangents
        asked = wanted.mean or wanted.training or wanted.newest or wanted.implicit
        if asked or wanted.discount != 1 or carried:
            return "looks at the losses of one interval alone"
        return None

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Any:
        """What is carried beside the state, and checkpointed: here the copies, (2 q, ...)."""
        if not plan.wanted:
            return None
        copies = 2 * ravel_pytree(phi)[0].size
        arrays = eqx.filter(state, eqx.is_array)
        return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], copies, axis=0), arrays)

    def train(self, work: Work) -> Callable[..., Segment]:
        """A segment for one seed; the engine compiles it, and vectorises it over several."""

        def train(state, phi, copies, key, indices, data, marks) -> Segment:
            flat, unravel = ravel_pytree(phi)
            moves = self.radius * jnp.concatenate([jnp.eye(flat.size), -jnp.eye(flat.size)])

            validation = data.for_hypergradients

            def meta_loss(copy, move):
                return work.problem.meta_loss(copy, unravel(flat + move), validation)

            def body(carried, inputs):
                (state, copies), (chosen, wanted) = carried, inputs
                batch, step_key = work.batch(data, key, state.step, chosen)

                def step(state, move):
                    return work.problem.step(state, unravel(flat + move), batch, step_key)

                state, loss = step(state, jnp.zeros_like(flat))
                copies, _ = jax.vmap(step)(copies, moves)
                up, down = jnp.split(jax.vmap(meta_loss)(copies, moves), 2)
                h = jnp.where(wanted, (up - down) / (2 * self.radius), 0.0)
                return (state, copies), ({"h": h}, loss)

            (state, copies), (rows, loss) = jax.lax.scan(
                body, (state, copies), (indices, marks.steps)
            )
            return Segment(state, copies, rows, loss, work.finite(state))

        return train
