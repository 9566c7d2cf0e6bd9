"""Reverse mode: one sweep back through an interval or a playout, whatever the number q."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots
from glocal_exp.engine.modes.forward import at_mean
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.settings import check_counts
from glocal_exp.engine.work import Marks, Segment, Work
from glocal_exp.hypergrad.reverse import block_for, train_ahead, train_and_pull_back
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState


@dataclass(eq=False)
class Tape:
    """By interval of a playout, what sweeps back through it; a missing part is made anew."""

    parts: dict[int, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(map(_size, self.parts.values()))


class Trail(eqx.Module):
    """A playout that is to be swept back through."""

    # at the starts of its intervals, those that the sweep has not come to
    states: tuple[InnerState, ...]
    cotangent: PyTree  # of the state that the sweep has come to
    h: Float[Array, " q"]  # what it has gathered
    tape: Tape = eqx.field(static=True)  # not a part of checkpoints


@dataclass(frozen=True)
class Reverse(Mode):
    """For methods that look at their interval's last h, at its window's mean, or at both.

    Of a playout the last h alone: it trains to the end, keeps the states at the intervals' starts,
    and goes back from interval to interval; those beyond `Numerics.playout_gib` are trained once
    more when the sweep comes to them.

    Attributes:
        block: steps between two states that are kept; if None, every step's is, or as few as
            possible where that were more than `hypergrad.reverse.KEPT_BYTES`.
    """

    block: int | None = None

    name = "reverse"
    counts = "reverse_steps"

    def __post_init__(self):
        check_counts(self, "block", group="hypergradient.")

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        wanted, interval = plan.wanted, plan.schedule.interval
        if plan.carries:
            return "has no tangents to carry from interval to interval"
        if len(wanted.steps) > 1:
            number = len(wanted.steps)
            return f"computes one hypergradient an interval and this method looks at {number}"
        if wanted.steps not in ((), (interval - 1,)):
            t = wanted.steps[0] + 1
            return f"computes an interval's last hypergradient and this method looks at {t}"
        if wanted.training:
            return "differentiates the validation loss and this method looks at the training loss"
        if wanted.newest:
            return "sweeps back through all steps and this method asks for the last one's part"
        if wanted.discount != 1 or wanted.adapts:
            return "keeps all of the past and this method discounts it"
        if plan.plays_out and wanted.mean:
            return "gives a playout's last hypergradient alone and this method looks at more"
        return super().obstacle(plan, problem)

    def lengths(self, plan: Plan) -> list[int]:
        return [plan.schedule.interval]

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Trail | PyTree | None:
        """Before a playout an empty trail; one of so many states. Else what a mean is shaped as."""
        if not plan.plays_out and columns is not None:
            return eqx.filter(state.params, eqx.is_inexact_array)
        if not plan.plays_out or not plan.wanted:
            return None
        flat, _ = ravel_pytree(phi)
        zero = jax.tree.map(jnp.zeros_like, eqx.filter(state, eqx.is_inexact_array))
        return Trail((state,) * (columns or 0), zero, jnp.zeros_like(flat), Tape())

    def columns(self, carry: Trail | PyTree | None) -> int | None:
        return len(carry.states) if isinstance(carry, Trail) else None if carry is None else 0

    def mean(self, snapshot: Snapshot) -> PyTree | None:
        return None if isinstance(snapshot.carry, Trail) else snapshot.carry

    def train(self, work: Work) -> Callable[..., Segment]:
        def train(state, phi, carry, key, indices, data, marks) -> Segment:
            pulled = train_and_pull_back(
                *(work.problem, work.stepper(data, key), state, phi, indices),
                data.for_hypergradients,
                last=marks.steps is not None,
                weights=marks.weights,
                bends=marks.bends is not None,
                block=self.block or block_for(state, len(indices)),
                **work.chunks,
            )
            rows = {} if pulled.h is None else {"h": pulled.h, "values": pulled.value}
            if pulled.mean is not None:
                rows |= at_mean(pulled.mean)
            if marks.bends is not None:
                rows["sharpness"] = pulled.sharpness
            rows = {
                name: jnp.zeros((len(indices), *row.shape), row.dtype).at[-1].set(row)
                for name, row in rows.items()
            }
            return Segment(
                pulled.state, pulled.average, rows, pulled.losses, work.finite(pulled.state)
            )

        return train

    def segment(
        self, work: Work, snapshots: Snapshots, start: int, marks: Marks, length: int
    ) -> Mapping[int, Segment]:
        if not work.plan.plays_out:
            return super().segment(work, snapshots, start, marks, length)
        ahead, place = self._ahead(work, snapshots, start), _position(snapshots)
        segments = {}
        for seed, (state, losses, part) in ahead.items():
            trail: Trail = snapshots[seed].carry
            most = work.plan.numerics.playout_gib * 2**30 / len(snapshots)
            if trail.tape.size + _size(part) <= most:
                trail.tape.parts[place.interval] = part
            states = (*trail.states, snapshots[seed].state)
            carry = Trail(states, trail.cotangent, trail.h, trail.tape)
            unknown = jnp.zeros((length, trail.h.size), trail.h.dtype)
            rows = {"h": unknown, "values": unknown[:, 0]}
            segments[seed] = Segment(state, carry, rows, losses, work.finite(state))
        return segments

    def finish(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[Snapshots], None]
    ) -> Snapshots:
        """With the playout's last h, by going back through it."""
        if not isinstance(next(iter(snapshots.values())).carry, Trail):
            return snapshots
        intervals = 1 + work.plan.lookahead(_position(snapshots).outer_step)
        if _position(snapshots).interval == intervals:
            snapshots = self._turn(work, snapshots)
        while left := len(next(iter(snapshots.values())).carry.states):
            snapshots = self._back(work, snapshots, left - 1, start, intervals)
            if left > 1:
                pause(snapshots)
        return snapshots

    def _ahead(self, work: Work, snapshots: Snapshots, start: int) -> dict[int, tuple]:
        """By seed, what training through an interval leaves, and what sweeps back through it."""

        def ahead(state, phi, carry, key, indices, data) -> tuple:
            block = self.block or block_for(state, len(indices))
            stepper = work.stepper(data, key)
            state, losses, part = train_ahead(stepper, state, phi, indices, block)
            return state, losses, _without(part, data)

        bare = {seed: replace(snapshot, carry=None) for seed, snapshot in snapshots.items()}
        return work.stretch("ahead", ahead, bare, start, work.plan.schedule.interval, static=self)

    def _turn(self, work: Work, snapshots: Snapshots) -> Snapshots:
        """At the playout's end: the gradient of the meta loss there."""
        before, last = work.programs.seconds, _position(snapshots).interval - 1
        by_seed = {seed: (s.state, work.phi_in(s, last)) for seed, s in snapshots.items()}
        data = (work.examples.data(list(snapshots)),)
        found = work.programs.call("turn", work.meta_gradient, by_seed, stacked=data)
        seconds = work.programs.seconds - before

        def turned(snapshot: Snapshot, value: Array, cotangent: PyTree, h: Array) -> Snapshot:
            snapshot = _at(snapshot, snapshot.carry.states, cotangent, h)
            measured = {**snapshot.measured, "values": np.asarray(value, np.float64)[None]}
            return replace(snapshot, measured=measured, seconds=snapshot.seconds + seconds)

        return {seed: turned(snapshot, *found[seed]) for seed, snapshot in snapshots.items()}

    def _back(
        self, work: Work, snapshots: Snapshots, interval: int, start: int, intervals: int
    ) -> Snapshots:
        """One interval further back, of those that the playout has."""
        before, length = work.programs.seconds, work.plan.schedule.interval
        parts = {seed: s.carry.tape.parts.pop(interval, None) for seed, s in snapshots.items()}
        costs = Costs()
        if None in parts.values():
            there = {
                seed: replace(s, state=s.carry.states[interval], phi=work.phi_in(s, interval))
                for seed, s in snapshots.items()
            }
            again = self._ahead(work, there, start + interval * length)
            parts = {seed: part for seed, (_, _, part) in again.items()}
            costs = Costs(plain_steps=length)

        def back(part: _Swept, cotangent: PyTree, h: Array, data: Any) -> tuple[PyTree, Array]:
            by_state, by_phi = _with(part, data)(cotangent)
            return by_state, h + ravel_pytree(by_phi)[0]

        carries = {seed: snapshot.carry for seed, snapshot in snapshots.items()}
        by_seed = {seed: (parts[seed], c.cotangent, c.h) for seed, c in carries.items()}
        data = (work.examples.data(list(snapshots)),)
        found = work.programs.call("back", back, by_seed, stacked=data)
        seconds = work.programs.seconds - before
        place = Position(_position(snapshots).outer_step, 2 * intervals - interval)
        return {
            seed: replace(
                _at(snapshot, snapshot.carry.states[:interval], *found[seed]),
                position=place,
                costs=snapshot.costs + costs,
                seconds=snapshot.seconds + seconds,
            )
            for seed, snapshot in snapshots.items()
        }


class _Example(eqx.Module):
    """In place of an array of the examples: its place among them."""

    place: int = eqx.field(static=True)


class _Swept(eqx.Module):
    """What sweeps back through an interval, with `_Example` where it holds examples."""

    leaves: list[Any]
    structure: Any = eqx.field(static=True)


def _without(part: Callable, data: Any) -> _Swept:
    """It, but for the examples, which every interval's would hold once more."""
    places = {id(leaf): place for place, leaf in enumerate(jax.tree.leaves(data))}
    leaves, structure = jax.tree.flatten(part)
    kept = [_Example(places[id(leaf)]) if id(leaf) in places else leaf for leaf in leaves]
    return _Swept(kept, structure)


def _with(part: _Swept, data: Any) -> Callable:
    """It, whole again."""
    examples = jax.tree.leaves(data)
    leaves = [examples[x.place] if isinstance(x, _Example) else x for x in part.leaves]
    return jax.tree.unflatten(part.structure, leaves)


def _size(tree: PyTree) -> int:
    """Bytes of its arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def _at(
    snapshot: Snapshot, states: tuple[InnerState, ...], cotangent: PyTree, h: Array
) -> Snapshot:
    """With the sweep where it is."""
    trail = Trail(states, cotangent, h, snapshot.carry.tape)
    rows = np.asarray(h, np.float64)[None]
    return replace(snapshot, carry=trail, measured={**snapshot.measured, "h": rows})


def _position(snapshots: Snapshots) -> Position:
    return next(iter(snapshots.values())).position
