"""One outer step's training: as many intervals as the method looks ahead, segment by segment."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots
from glocal_exp.engine.examples import Examples
from glocal_exp.engine.low_rank import Survey
from glocal_exp.engine.segment import Programs, Stretch
from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.engine.side_by_side import stack, unstack
from glocal_exp.methods.method import Method, is_fresh
from glocal_exp.records import Costs
from glocal_exp.types import InnerProblem


@dataclass(frozen=True)
class Playout:
    """Trains all seeds from wherever they stand in an outer step to the end of its playout.

    Attributes:
        after_segment: is given the snapshots, steps done and steps in all, after every segment
            but before the next; the place where a run may be saved or stopped.
    """

    problem: InnerProblem
    method: Method
    schedule: Schedule
    numerics: Numerics
    programs: Programs
    examples: Examples
    after_segment: Callable[[Snapshots, int, int], None]

    def play(self, snapshots: Snapshots, intervals: int) -> Snapshots:
        """The snapshots after `intervals` intervals of the current outer step."""
        interval = self.schedule.interval
        wanted = np.zeros(interval, bool)
        wanted[list(self.method.record(interval))] = True
        pieces = self.numerics.pieces(interval, pulls=self._pulls(wanted))
        ends = np.cumsum(pieces).tolist()
        if self.numerics.mode == "low_rank" and wanted.any():
            snapshots = self._along_bases(snapshots, pieces * intervals)
        while (place := next(iter(snapshots.values())).position).interval < intervals:
            # A checkpoint may be from segments of another length: on to the next end all the same.
            stop = next(end for end in ends if end > place.step)
            last = place.interval == intervals - 1
            record = wanted[place.step : stop] & last
            plain = is_fresh(self.method) and not last
            snapshots = self._segment(snapshots, place, record, plain)
            snapshots = {
                seed: self._move_on(snapshot, place, stop, intervals)
                for seed, snapshot in snapshots.items()
            }
            self.after_segment(snapshots, place.interval * interval + stop, intervals * interval)
        return snapshots

    def _along_bases(self, snapshots: Snapshots, lengths: list[int]) -> Snapshots:
        """With a basis for the whole playout, laid where it starts."""
        first = next(iter(snapshots.values()))
        if first.basis is not None:
            return snapshots
        survey = Survey(self.problem, self.numerics, self.programs, self.examples)
        start = self._steps_done(first.position)
        return survey.lay(
            snapshots, start, lengths, lambda: self.after_segment(snapshots, 0, sum(lengths))
        )

    def _steps_done(self, place: Position) -> int:
        first = place.outer_step - 1 if self.method.keeps else 0
        return (first + place.interval) * self.schedule.interval + place.step

    def _segment(
        self,
        snapshots: Snapshots,
        place: Position,
        record: Bool[np.ndarray, " steps"],
        plain: bool,
    ) -> Snapshots:
        """All seeds after one more segment; a plain one leaves the tangents as they are."""
        step = self._steps_done(place)
        batches = [self.examples.indices(seed, step, len(record)) for seed in snapshots]
        inputs = [
            (s.state, s.phi, None if plain else s.tangents, s.basis, jax.random.key(seed), indices)
            for (seed, s), indices in zip(snapshots.items(), batches, strict=True)
        ]
        batched = len(snapshots) > 1
        state, phi, tangents, basis, key, indices = stack(inputs) if batched else inputs[0]
        data = self.examples.data(list(snapshots), batched=batched)
        before, began = self.programs.compile_seconds, time.perf_counter()
        if self._pulls(record):
            result = self.programs.pull(state, phi, data, key, indices, batched=batched)
        else:
            result = self.programs.train(
                *(state, phi, tangents, data, key, indices, jnp.asarray(record)),
                basis=basis,
                batched=batched,
            )
        results = unstack(result, len(snapshots)) if batched else [result]
        results = jax.block_until_ready(results)
        elapsed = time.perf_counter() - began - (self.programs.compile_seconds - before)
        return {
            seed: self._absorb(snapshot, stretch, place, record, elapsed, plain)
            for (seed, snapshot), stretch in zip(snapshots.items(), results, strict=True)
        }

    def _pulls(self, record: Bool[np.ndarray, " steps"]) -> bool:
        return self.numerics.mode == "reverse" and bool(record.any())

    def _absorb(
        self,
        snapshot: Snapshot,
        stretch: Stretch,
        place: Position,
        record: Bool[np.ndarray, " steps"],
        elapsed: float,
        plain: bool,
    ) -> Snapshot:
        """A segment's results added to what the outer step has gathered so far."""
        carries, pulls = snapshot.tangents is not None and not plain, self._pulls(record)
        # Without greedy steps the whole playout is real, and the last interval is what counts.
        real = place.interval == 0 or not self.method.keeps
        gathered = snapshot.losses[:0] if place.step == 0 else snapshot.losses
        costs = Costs(
            plain_steps=0 if carries or pulls else len(record),
            tangent_steps=len(record) if carries else 0,
            reverse_steps=len(record) if pulls else 0,
            validation_gradients=int(record.sum()) if carries or pulls else 0,
        )
        basis = snapshot.basis
        if basis is not None and stretch.outside is not None:
            basis = replace(basis, outside=basis.outside + stretch.outside)
        evaluated = np.asarray(stretch.hypergradients, np.float64)
        new = evaluated[record] if carries or pulls else snapshot.h[:0]
        return replace(
            snapshot,
            state=stretch.state,
            tangents=snapshot.tangents if plain else stretch.tangents,
            basis=basis,
            h=np.concatenate([snapshot.h, new]),
            losses=np.concatenate([gathered, np.asarray(stretch.losses, np.float64)])
            if real
            else snapshot.losses,
            costs=snapshot.costs + costs,
            seconds=snapshot.seconds + elapsed,
            diverged=snapshot.diverged or (real and not bool(stretch.finite)),
        )

    def _move_on(self, snapshot: Snapshot, place: Position, stop: int, intervals: int) -> Snapshot:
        """To the next segment; what a greedy method keeps is set aside after one interval."""
        if stop < self.schedule.interval:
            return replace(snapshot, position=replace(place, step=stop))
        kept = snapshot.kept
        if place.interval == 0 and self.method.keeps and intervals > 1:
            kept = (snapshot.state, snapshot.tangents)
        position = Position(place.outer_step, place.interval + 1)
        return replace(snapshot, position=position, kept=kept)
