"""Few tangents for many hyperparameters: a plain first pass lays a basis, tangents follow it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from glocal_exp.engine.checkpoint import Snapshot, Snapshots
from glocal_exp.engine.modes.forward import Tangential, mean_params, start_tangents, train_along
from glocal_exp.engine.modes.mode import LOSSES, Mode, as_measured
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.settings import check_counts
from glocal_exp.engine.work import Segment, Work
from glocal_exp.errors import UserError
from glocal_exp.hypergrad import count, lowrank
from glocal_exp.methods.method import Measured
from glocal_exp.records import Costs
from glocal_exp.types import Batch, Hyperparams, InnerState


class Along(eqx.Module):
    """Tangents and the basis that their columns are of; made for one outer step."""

    pushed: Tangential
    basis: lowrank.Basis


@dataclass(frozen=True)
class LowRank(Mode):
    """Tangents along a basis of the task's tangent rows, laid in each outer step.

    Attributes:
        chunk: tangents pushed at a time; all of the basis if None.
        tolerance: the share of the tangent rows' norm that may be left out; 0 keeps all.
        probes: random directions that estimate what is left out.
        sizes: tangents to push, probes included; the smallest size that suffices is taken, all q
            beyond the largest.
    """

    chunk: int | None = None
    tolerance: float = 1e-4
    probes: int = 4
    sizes: Sequence[int] = (12, 16, 24, 32, 48, 64, 80, 96, 128, 192)

    name = "low_rank"
    counts = "tangent_steps"

    def __post_init__(self):
        object.__setattr__(self, "sizes", tuple(self.sizes))
        check_counts(self, "chunk", "probes", group="hypergradient.")
        if not 0 <= self.tolerance < 1:
            raise UserError(
                f"hypergradient.tolerance={self.tolerance} is not a share from 0 to below 1."
            )
        if any(size <= self.probes for size in self.sizes):
            raise UserError(
                f"hypergradient.sizes={list(self.sizes)} has one that leaves no room beside "
                f"probes={self.probes}."
            )

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        if plan.method.fresh:
            reason = "lays its directions where a playout starts"
            return f"{reason}, and this method differentiates its end"
        if plan.carries:
            reason = "takes other directions in each interval"
            return f"{reason}, and these tangents are kept"
        if plan.wanted.sizes:
            reason = "pushes tangents of many hyperparameters at once"
            return f"{reason}, and this method asks for each one's size"
        if any(plan.method.shift(1).values()):
            reason = "lays its directions at the present hyperparameters"
            return f"{reason}, and this method moves those to come"
        if problem is not None and not problem.has_rows:
            reason = "needs a task that knows its tangent rows, such as task=reweight"
            return f"{reason}, and this has none"
        return super().obstacle(plan, problem)

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> Along | None:
        """Nothing before a basis is laid."""
        if columns is None:
            return None
        tangents = start_tangents(state, columns, plan.wanted.mean > 0)
        return Along(tangents, lowrank.blank(count(phi), columns))

    def columns(self, carry: Along | None) -> int | None:
        return carry and carry.basis.columns

    def prepare(
        self, work: Work, snapshots: Snapshots, start: int, pause: Callable[[], None]
    ) -> Snapshots:
        """With a basis for the whole playout, the same number of columns for all seeds."""
        first = next(iter(snapshots.values()))
        if first.carry is not None or not work.plan.wanted:
            return snapshots
        intervals = 1 + work.plan.lookahead(first.position.outer_step)
        lengths = self.lengths(work.plan) * intervals
        before = work.programs.seconds
        met = self._first_pass(work, snapshots, start, lengths, pause)
        with work.programs.timed():
            numbers = {seed: lowrank.sample(signals) for seed, signals in met.items()}
        rows = self._rows(work, snapshots, numbers)
        with work.programs.timed():
            spans = {
                seed: lowrank.decompose(of_seed, numbers[seed]) for seed, of_seed in rows.items()
            }
            laid = {seed: self._lay(work.plan, seed, s, spans) for seed, s in snapshots.items()}
        costs, seconds = Costs(plain_steps=sum(lengths)), work.programs.seconds - before
        return {
            seed: replace(s, carry=laid[seed], costs=s.costs + costs, seconds=s.seconds + seconds)
            for seed, s in snapshots.items()
        }

    def mean(self, snapshot: Snapshot) -> PyTree | None:
        return snapshot.carry and mean_params(snapshot.carry.pushed)

    def train(self, work: Work) -> Callable[..., Segment]:
        problem: Any = work.problem

        def train(state, phi, carry, key, indices, data, marks) -> Segment:
            laid: lowrank.Basis = carry.basis

            def observe(state: InnerState, batch: Batch, step_key: Array) -> Array:
                return lowrank.count_outside(laid, problem.signals(state, phi, batch, step_key))

            push = partial(
                train_along, directions=laid.directions, chunk=self.chunk, observe=observe
            )
            segment, outside = push(work, state, phi, carry.pushed, key, indices, data, marks)
            met = eqx.tree_at(lambda b: b.outside, laid, laid.outside + outside)
            return segment._replace(carry=Along(segment.carry, met))

        return train

    def read(self, snapshot: Snapshot) -> tuple[Measured, dict[str, float]]:
        """A method sees q columns.

        Hankel DMD makes the same of h V as of h V V^T, but not if it scales each hyperparameter,
        and what a method remembers would be in another basis.
        """
        if snapshot.carry is None:
            return super().read(snapshot)
        laid: lowrank.Basis = snapshot.carry.basis
        losses = {k: rows for k, rows in snapshot.measured.items() if k in LOSSES}
        derivatives = {k: rows for k, rows in snapshot.measured.items() if k not in LOSSES}
        lifted = {name: lowrank.lift(laid, rows) for name, rows in derivatives.items()}
        diagnostics = {
            "low_rank": float(laid.rank),
            "low_rank_tangents": float(laid.columns),
            "low_rank_error": max((error for _, error in lifted.values()), default=0.0),
            "low_rank_outside": float(laid.outside),
        }
        return as_measured({name: h for name, (h, _) in lifted.items()} | losses), diagnostics

    def _first_pass(
        self,
        work: Work,
        snapshots: Snapshots,
        start: int,
        lengths: Sequence[int],
        pause: Callable[[], None],
    ) -> dict[int, Float[np.ndarray, " n"]]:
        """By seed, the signals that training meets, from the same batches and keys."""
        problem: Any = work.problem  # a RowSpaceProblem, or there were an obstacle

        def survey(state, phi, carry, key, indices, data) -> tuple[InnerState, Array]:
            def body(state: InnerState, chosen: Array) -> tuple[InnerState, Array]:
                batch, step_key = work.batch(data, key, state.step, chosen)
                met = problem.signals(state, phi, batch, step_key)
                return problem.step(state, phi, batch, step_key)[0], met

            return jax.lax.scan(body, state, indices)

        met: dict[int, list[np.ndarray]] = {seed: [] for seed in snapshots}
        for length in lengths:
            results = work.stretch("survey", survey, snapshots, start, length)
            for seed, (_, new) in results.items():
                met[seed].append(np.asarray(new).ravel())
            snapshots = {s: replace(snapshots[s], state=state) for s, (state, _) in results.items()}
            start += length
            pause()
        return {seed: np.concatenate(parts) for seed, parts in met.items()}

    def _rows(
        self, work: Work, snapshots: Snapshots, numbers: Mapping[int, Float[np.ndarray, " n"]]
    ) -> dict[int, np.ndarray]:
        """By seed, the tangent rows of the numbers."""
        problem: Any = work.problem

        def rows(phi: Hyperparams, numbers: Array) -> Array:
            return lowrank.rows_of(problem, phi, numbers)

        signals = {seed: jnp.asarray(n, jnp.result_type(float)) for seed, n in numbers.items()}
        by_seed = {seed: (s.phi, signals[seed]) for seed, s in snapshots.items()}
        found = work.programs.call("rows", rows, by_seed)
        return {seed: np.asarray(of_seed) for seed, of_seed in found.items()}

    def _lay(
        self, plan: Plan, seed: int, snapshot: Snapshot, spans: Mapping[int, lowrank.Rows]
    ) -> Along:
        ranks = {seed: rows.rank(self.tolerance) for seed, rows in spans.items()}
        q = count(snapshot.phi)
        columns = lowrank.columns_for(max(ranks.values()), self.probes, self.sizes, q)
        place = (seed, snapshot.position.outer_step)
        laid = lowrank.basis(spans[seed], ranks[seed], columns, self.probes, place)
        return Along(start_tangents(snapshot.state, columns, plan.wanted.mean > 0), laid)
