"""One product an interval, at the states' discounted mean, for hypergradient distillation."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Int, PyTree

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.work import Segment, Work
from glocal_exp.hypergrad.distilled import discounted_mean, fit, horizon, pull
from glocal_exp.methods.method import Distillation, Measured
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState, Scalar


class Distillate(eqx.Module):
    """What is carried beside the state."""

    mean: PyTree  # x*, of the inexact leaves of the states so far
    count: Int[Array, ""]  # of these
    # by the last fit; 1 before, which is right where the past is forgotten at the rate gamma
    theta: Scalar


@dataclass(frozen=True)
class Distilled(Mode):
    """Trains plainly, with one sweep back through a single step at an interval's end.

    A fit trains ahead along the batches to come, which count, and sweeps twice through each step.
    """

    name = "distilled"
    counts = "reverse_steps"

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        wanted = plan.wanted
        if wanted and wanted.distilled is None:
            return "approximates by one product and this method asks for derivatives of training"
        if wanted.steps or wanted.training or wanted.mean or wanted.implicit or wanted.copies:
            return "gives one derivative an interval and this method looks at more"
        return "looks at an interval's end alone" if plan.lookahead(1) > 0 else None

    def costs(self, plan: Plan, length: int) -> Costs:
        return Costs(plain_steps=length, reverse_steps=1)

    def lengths(self, plan: Plan) -> list[int]:
        return [plan.schedule.interval]

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Distillate | None:
        if plan.wanted.distilled is None:
            return None
        mean = jax.tree.map(jnp.zeros_like, eqx.filter(state, eqx.is_inexact_array))
        return Distillate(mean, jnp.array(0), jnp.ones_like(ravel_pytree(phi)[0][0]))

    def prepare(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[], None]
    ) -> Snapshots:
        """With theta fitted anew, where an outer step begins at which that is due."""
        wanted, place = work.plan.wanted.distilled, next(iter(snapshots.values())).position
        begins = place == Position(place.outer_step)
        if wanted is None or not begins or not wanted.due(start, work.plan.schedule.interval):
            return snapshots
        before = work.programs.seconds

        def fitted(state, phi, carry, key, indices, data) -> Distillate:
            def gradient(state: InnerState) -> PyTree:
                return work.meta_gradient(state, phi, data)[1]

            theta = fit(work.stepper(data, key), state, phi, indices, gradient, wanted.gamma)
            return Distillate(carry.mean, carry.count, theta.astype(carry.theta.dtype))

        found = work.stretch("fit", fitted, snapshots, start, wanted.horizon, static=wanted)
        costs, seconds = _fit_costs(wanted), work.programs.seconds - before
        return {
            seed: replace(s, carry=found[seed], costs=s.costs + costs, seconds=s.seconds + seconds)
            for seed, s in snapshots.items()
        }

    def train(self, work: Work) -> Callable[..., Segment]:
        wanted: Any = work.plan.wanted.distilled  # or there were an obstacle

        def train(state, phi, carry, key, indices, data, marks) -> Segment:
            step = work.stepper(data, key)

            def body(carried: tuple, chosen: Array) -> tuple[tuple, Array]:
                state, _, mean, count = carried
                mean = discounted_mean(mean, state, count + 1, wanted.gamma)
                after, loss = step(state, phi, chosen)
                return (after, state, mean, count + 1), loss

            start = (state, state, carry.mean, carry.count)
            (state, before, mean, count), losses = jax.lax.scan(body, start, indices)
            _, alpha, direct = work.meta_gradient(state, phi, data)
            product = pull(step, before, phi, mean, indices[-1], alpha)[1]
            h = direct + carry.theta * horizon(count, wanted.gamma) * product
            rows = jnp.zeros((len(indices), h.size), h.dtype).at[-1].set(h)
            kept = Distillate(mean, count, carry.theta)
            return Segment(state, kept, {"distilled": rows}, losses, work.finite(state))

        return train

    def read(self, snapshot: Snapshot) -> tuple[Measured, dict[str, float]]:
        measured, diagnostics = super().read(snapshot)
        if snapshot.carry is None:
            return measured, diagnostics
        return measured, {"theta": float(np.asarray(snapshot.carry.theta))}


def _fit_costs(wanted: Distillation) -> Costs:
    steps = wanted.horizon
    return Costs(plain_steps=steps, reverse_steps=2 * steps, validation_gradients=1)
