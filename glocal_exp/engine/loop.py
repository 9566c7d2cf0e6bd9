"""The outer loop: an iterator of records that logs nothing.

For every outer step it plays training out as far as the method looks, asks the method for an
estimate, takes a meta step, and yields one record for each seed. Seeds share the compiled programs;
more than one at a time are vectorised.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots, to_bytes
from glocal_exp.engine.evaluation import evaluate
from glocal_exp.engine.examples import Examples, Splits
from glocal_exp.engine.low_rank import estimate, has_row_space
from glocal_exp.engine.meta_step import MetaStep
from glocal_exp.engine.mode import resolve
from glocal_exp.engine.playout import Playout
from glocal_exp.engine.recorder import Recorder
from glocal_exp.engine.restore import restore
from glocal_exp.engine.segment import Programs
from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.errors import UserError
from glocal_exp.hypergrad.forward import count, names, zero_tangents
from glocal_exp.methods.method import Method, Moment
from glocal_exp.records import IntervalRecord
from glocal_exp.types import Hyperparams, InnerProblem, InnerState, Tangents


@dataclass(frozen=True)
class Hooks:
    """What the loop tells its caller besides records.

    Attributes:
        checkpoint: takes (seed, bytes) whenever the run could go on from there.
        progress: takes (steps done, steps in all) of the current outer step's playout; the run can
            be stopped by raising from it, and then be saved with `Loop.checkpoint`.
        keep: whether to put the arrays of an outer step into its record.
    """

    checkpoint: Callable[[int, bytes], None] | None = None
    progress: Callable[[int, int], None] | None = None
    keep: Callable[[int], bool] = lambda outer_step: False


class Loop(Iterator[IntervalRecord]):
    """A run that advances as it is iterated; made by `glocal_exp.engine.run`.

    Attributes:
        snapshots: by seed, where it stands, for the seeds that go on.
        finished: by seed, where it stopped because it had diverged.
        resumed: whether it goes on from checkpoints.
        mode: how hypergradients are computed: `forward`, `reverse` or `low_rank`.
        names: the q hyperparameters, in the order of the hypergradient.
        programs: the compiled functions, with their compile time and number of traces.
    """

    def __init__(
        self,
        problem: InnerProblem,
        splits: Mapping[int, Splits],
        method: Method,
        schedule: Schedule,
        meta_optimizer: optax.GradientTransformation,
        numerics: Numerics,
        *,
        carry_tangents: bool,
        stop_when_diverged: bool,
        hooks: Hooks,
        checkpoints: Mapping[int, Sequence[bytes]],
        programs: Programs | None = None,
    ):
        self._problem, self._method, self._schedule = problem, method, schedule
        self._hooks = hooks
        self._carry_tangents, self._stop = carry_tangents, stop_when_diverged
        self._examples = Examples(splits, schedule.batch_size)
        self._meta_step = MetaStep(meta_optimizer)
        initial = {seed: self._start(seed) for seed in splits}
        first, train = next(iter(initial.values())), next(iter(splits.values())).train
        phi = first.phi
        if count(phi) == 0 and len(method.record(schedule.interval)) > 0:
            raise UserError("The task has no hyperparameters to learn; train it with method=none.")
        self.mode = resolve(
            *(numerics, method, schedule, count(phi)),
            carry_tangents=carry_tangents,
            row_space=numerics.mode in ("low_rank", "auto")
            and has_row_space(problem, first.state, phi, train),
        )
        self._numerics = numerics = replace(numerics, mode=self.mode)
        self._carries = self.mode == "forward" and len(method.record(schedule.interval)) > 0
        self._initial = {
            seed: replace(s, tangents=self._zero(s.state, s.phi)) for seed, s in initial.items()
        }
        self.names = names(phi)
        self._recorder = Recorder(problem, self.names, hooks.keep)
        self.programs = programs or Programs(problem, numerics)
        self._playout = Playout(
            *(problem, method, schedule, numerics),
            *(self.programs, self._examples, self._after_segment),
        )
        self.snapshots, self.finished, self.resumed = restore(
            self._initial, checkpoints, self._is_over
        )
        self._saved = time.monotonic()
        self._records = self._iterate()

    def __next__(self) -> IntervalRecord:
        return next(self._records)

    def restart(self) -> None:
        """Stand before the first step again, with everything compiled: the same run once more."""
        self.snapshots, self.finished, self.resumed = dict(self._initial), {}, False
        self._records = self._iterate()

    @property
    def states(self) -> dict[int, InnerState]:
        """By seed, the state that training has reached."""
        return {seed: s.state for seed, s in {**self.finished, **self.snapshots}.items()}

    @property
    def hyperparams(self) -> dict[int, Hyperparams]:
        """By seed, the hyperparameters that the next step would use."""
        return {seed: s.phi for seed, s in {**self.finished, **self.snapshots}.items()}

    @property
    def position(self) -> Position:
        """Where the seeds that go on stand, or the last that stopped; (1, 0, 0) at first."""
        if self.snapshots:
            return next(iter(self.snapshots.values())).position
        return max(snapshot.position for snapshot in self.finished.values())

    def lookahead(self, outer_step: int) -> int:
        """Intervals that the method plays out in an outer step, besides the one it is in."""
        return self._method.lookahead(outer_step, self._schedule.outer_steps)

    def checkpoint(self) -> None:
        """Hand every seed's snapshot to the checkpoint hook, now."""
        if self._hooks.checkpoint is not None:
            for seed, snapshot in self.snapshots.items():
                self._hooks.checkpoint(seed, to_bytes(snapshot))
        self._saved = time.monotonic()

    def _start(self, seed: int) -> Snapshot:
        state, phi = self._problem.init(jax.random.key(seed))
        nothing = np.zeros((0, count(phi)))
        meta_state = self._meta_step.init(phi)
        return Snapshot(Position(), state, None, None, phi, meta_state, nothing, np.zeros(0))

    def _zero(self, state: InnerState, phi: Hyperparams) -> Tangents:
        return zero_tangents(state, count(phi)) if self._carries else None

    def _is_over(self, snapshot: Snapshot) -> bool:
        """Whether it has diverged, is to stop then, and its last interval is at its end."""
        place = snapshot.position
        return self._stop and snapshot.diverged and place == Position(place.outer_step)

    def _iterate(self) -> Iterator[IntervalRecord]:
        if not self.resumed:
            yield from self._before_training()
            # So that seeds side by side have a place in common, whenever they are killed.
            self.checkpoint()
        while self.snapshots and self.position.outer_step <= self._schedule.outer_steps:
            done = self.position.outer_step * self._schedule.interval
            yield from self._outer_step()
            # Intervals of a single step would write more than they train.
            if self._overdue() or self._schedule.evaluates(done):
                self.checkpoint()
            over = {seed: s for seed, s in self.snapshots.items() if self._is_over(s)}
            self.finished = {**self.finished, **over}
            self.snapshots = {k: s for k, s in self.snapshots.items() if k not in over}

    def _before_training(self) -> Iterator[IntervalRecord]:
        before = self._compile_seconds()
        metrics, seconds = evaluate(self.programs, self._examples, self.snapshots)
        compile_seconds = self._compile_seconds() - before
        for seed, snapshot in self.snapshots.items():
            yield self._recorder.before(
                *(seed, snapshot, metrics[seed]),
                compile_seconds=compile_seconds,
                evaluation_seconds=seconds,
            )

    def _outer_step(self) -> Iterator[IntervalRecord]:
        outer_step, before = self.position.outer_step, self._compile_seconds()
        played = self._playout.play(self.snapshots, 1 + self.lookahead(outer_step))
        start, compiled = time.perf_counter(), self._compile_seconds()
        moment = Moment(outer_step, self._schedule.outer_steps, self._schedule.interval, self.names)
        estimates, moved, after = {}, {}, {}
        for seed, snapshot in played.items():
            estimates[seed], memory = estimate(self._method, snapshot, moment)
            new, moved[seed] = self._meta_step(replace(snapshot, memory=memory), estimates[seed])
            after[seed] = self._advance(new, self._initial[seed].state)
        shared = time.perf_counter() - start - (self._compile_seconds() - compiled)
        step = outer_step * self._schedule.interval
        metrics, evaluation_seconds = {seed: {} for seed in played}, 0.0
        if self._schedule.evaluates(step):
            metrics, evaluation_seconds = evaluate(self.programs, self._examples, played)
        self.snapshots = after
        for seed, snapshot in played.items():
            yield self._recorder.after(
                *(seed, moment, snapshot, estimates[seed], metrics[seed]),
                skipped=estimates[seed].hypergradient is not None and not moved[seed],
                seconds=snapshot.seconds + shared,
                compile_seconds=self._compile_seconds() - before,
                evaluation_seconds=evaluation_seconds,
            )

    def _advance(self, snapshot: Snapshot, initial: InnerState) -> Snapshot:
        """Drop the playout, and stand at the start of the next outer step."""
        outer_step = snapshot.position.outer_step
        state, tangents = snapshot.kept or (snapshot.state, snapshot.tangents)
        restart = not self._method.keeps and outer_step < self._schedule.outer_steps
        if restart:
            state = initial
        # Tangents that are not finite would stay so, and no meta step be taken again.
        if restart or not (self._carry_tangents and _finite(tangents)):
            tangents = self._zero(state, snapshot.phi)
        return replace(
            snapshot,
            position=Position(outer_step + 1),
            state=state,
            tangents=tangents,
            kept=None,
            basis=None,
            h=snapshot.h[:0],
            losses=snapshot.losses[:0],
            seconds=0.0,
            diverged=snapshot.diverged and not restart,
        )

    def _after_segment(self, snapshots: Snapshots, done: int, total: int) -> None:
        self.snapshots = snapshots
        if self._hooks.progress is not None:
            self._hooks.progress(done, total)
        if self._overdue() and done < total:
            self.checkpoint()

    def _overdue(self) -> bool:
        return time.monotonic() - self._saved > self._numerics.checkpoint_seconds

    def _compile_seconds(self) -> float:
        return self.programs.compile_seconds + self._meta_step.compile_seconds


def _finite(tangents: Tangents) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tangents))
