"""The low-rank mode's part of an outer step: a plain first pass, and what its basis leaves."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from glocal_exp.engine.checkpoint import Snapshot, Snapshots
from glocal_exp.engine.examples import Examples
from glocal_exp.engine.segment import Programs, given
from glocal_exp.engine.settings import Numerics
from glocal_exp.engine.side_by_side import stack, unstack
from glocal_exp.hypergrad import count, zero_tangents
from glocal_exp.hypergrad.lowrank import (
    basis,
    columns_for,
    decompose,
    lift,
    rows_of,
    sample,
    signals,
)
from glocal_exp.methods.method import Estimate, Memory, Method, Moment
from glocal_exp.records import Costs
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState


@dataclass(frozen=True)
class Survey:
    """Looks at a playout before tangents are pushed through it, and lays a basis for each seed."""

    problem: InnerProblem
    numerics: Numerics
    programs: Programs
    examples: Examples

    def lay(
        self, snapshots: Snapshots, start: int, lengths: list[int], pause: Callable[[], None]
    ) -> Snapshots:
        """The snapshots with a basis and zero tangents along it.

        Seeds side by side get as many columns as the one that needs most.

        Args:
            start: training steps done, of the batches.
            lengths: of the segments to look at.
            pause: called between two of them.
        """
        before, began = self.programs.compile_seconds, time.perf_counter()
        found = self._first_pass(snapshots, start, lengths, pause)
        numbers = {seed: sample(met) for seed, met in found.items()}
        rows = {
            seed: decompose(found, numbers[seed])
            for seed, found in self._rows(snapshots, numbers).items()
        }
        ranks = {seed: found.rank(self.numerics.tolerance) for seed, found in rows.items()}
        q, probes = count(next(iter(snapshots.values())).phi), self.numerics.probes
        columns = columns_for(max(ranks.values()), probes, self.numerics.sizes, q)
        elapsed = time.perf_counter() - began - (self.programs.compile_seconds - before)
        return {
            seed: replace(
                s,
                basis=basis(
                    rows[seed], ranks[seed], columns, probes, (seed, s.position.outer_step)
                ),
                tangents=zero_tangents(s.state, columns),
                h=np.zeros((0, columns)),
                costs=s.costs + Costs(plain_steps=sum(lengths)),
                seconds=s.seconds + elapsed,
            )
            for seed, s in snapshots.items()
        }

    def _first_pass(
        self, snapshots: Snapshots, start: int, lengths: list[int], pause: Callable[[], None]
    ) -> dict[int, Float[np.ndarray, " n"]]:
        """By seed, the signals that training meets, from the same batches and keys."""
        batched = len(snapshots) > 1
        data = self.examples.data(list(snapshots), batched=batched)
        states = [snapshot.state for snapshot in snapshots.values()]
        met: list[list[np.ndarray]] = [[] for _ in snapshots]
        for length in lengths:
            inputs = [
                (state, s.phi, jax.random.key(seed), self.examples.indices(seed, start, length))
                for state, (seed, s) in zip(states, snapshots.items(), strict=True)
            ]
            state, phi, key, indices = stack(inputs) if batched else inputs[0]
            found = self.programs.call(
                "survey", self._survey, (state, phi, data, key, indices), (), batched
            )
            results = unstack(found, len(snapshots)) if batched else [found]
            states = [state for state, _ in results]
            for seen, (_, new) in zip(met, results, strict=True):
                seen.append(np.asarray(new).ravel())
            start += length
            pause()
        return {seed: np.concatenate(seen) for seed, seen in zip(snapshots, met, strict=True)}

    def _survey(self, state, phi, data, key, indices) -> tuple[InnerState, Array]:
        def body(state: InnerState, chosen: Array) -> tuple[InnerState, Array]:
            batch, step_key = given(data, key, state, chosen)
            met = signals(self.problem, state, phi, batch, step_key)
            return self.problem.step(state, phi, batch, step_key)[0], met

        return jax.lax.scan(body, state, indices)

    def _tangent_rows(self, phi, numbers) -> Array:
        return rows_of(self.problem, phi, numbers)

    def _rows(
        self, snapshots: Snapshots, numbers: dict[int, Float[np.ndarray, " n"]]
    ) -> dict[int, np.ndarray]:
        batched = len(snapshots) > 1
        dtype = jnp.result_type(float)
        inputs = [(s.phi, jnp.asarray(numbers[seed], dtype)) for seed, s in snapshots.items()]
        arguments = stack(inputs) if batched else inputs[0]
        found = np.asarray(self.programs.call("rows", self._tangent_rows, arguments, (), batched))
        return dict(zip(snapshots, found if batched else [found], strict=True))


def has_row_space(problem: InnerProblem, state: InnerState, phi: Hyperparams, batch: Batch) -> bool:
    """Whether the problem has signals, and so tangent rows; nothing is computed."""
    return jax.eval_shape(problem.signals, state, phi, batch, jax.random.key(0)) is not None


def estimate(method: Method, snapshot: Snapshot, moment: Moment) -> tuple[Estimate, Memory]:
    """The method's estimate from what an outer step recorded, along a basis or not.

    A method sees q columns either way. Hankel DMD makes the same of h V as of h V V^T, but not if
    it scales each hyperparameter, and what a method remembers would be in another basis.
    """
    if snapshot.basis is None:
        return method.estimate(snapshot.h, moment, snapshot.memory)
    h, error = lift(snapshot.basis, snapshot.h)
    found, memory = method.estimate(h, moment, snapshot.memory)
    diagnostics = {
        "low_rank": float(snapshot.basis.rank),
        "low_rank_tangents": float(snapshot.basis.columns),
        "low_rank_error": error,
        "low_rank_outside": float(snapshot.basis.outside),
    }
    arrays = {"trajectory": h} | found.arrays
    return replace(found, diagnostics=found.diagnostics | diagnostics, arrays=arrays), memory
