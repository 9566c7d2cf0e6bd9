"""The outer loop: an iterator of records that logs nothing.

For every outer step it plays training out as far as the method looks, asks the method for an
estimate, takes a meta step, and yields one record for each seed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots, restore, to_bytes
from glocal_exp.engine.compiled import Programs
from glocal_exp.engine.evaluation import Mean, evaluate
from glocal_exp.engine.examples import Examples, Splits
from glocal_exp.engine.meta_step import MetaStep
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.periods import in_periods
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.playout import Playout
from glocal_exp.engine.recorder import Recorder, without_effect
from glocal_exp.engine.work import Work
from glocal_exp.errors import UserError
from glocal_exp.hypergrad.forward import count, names
from glocal_exp.methods.method import Estimate, Moment
from glocal_exp.records import IntervalRecord
from glocal_exp.types import Hyperparams, InnerProblem, InnerState, RowSpaceProblem


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
    """A run that advances as it is iterated; `glocal_exp.engine.run` explains the arguments.

    Attributes:
        snapshots: by seed, where it stands, for the seeds that go on.
        finished: by seed, where it stopped because it had diverged.
        resumed: whether it goes on from checkpoints.
        mode: what differentiates.
        names: the q hyperparameters, in the order of the hypergradient.
        work: the problem, the plan, the examples and the compiled programs.
    """

    def __init__(
        self,
        problem: InnerProblem,
        splits: Mapping[int, Splits],
        plan: Plan,
        *,
        meta_optimizer: optax.GradientTransformation | None = None,
        hooks: Hooks | None = None,
        checkpoints: Mapping[int, Sequence[bytes]] | None = None,
        programs: Programs | None = None,
    ):
        examples = Examples(splits, plan.schedule.batch_size)
        problem = in_periods(problem, plan.method.schedule(), plan.schedule.steps)
        self.work = Work(problem, plan, examples, programs or Programs())
        self._problem, self._plan, self._hooks = problem, plan, hooks or Hooks()
        meta_optimizer = meta_optimizer or optax.adam(0.1)
        self._meta_step = MetaStep(meta_optimizer, self.work.programs)
        starts = {seed: problem.init(jax.random.key(seed)) for seed in splits}
        _, phi = next(iter(starts.values()))
        known = Problem(count(phi), isinstance(problem, RowSpaceProblem))
        if known.q == 0 and plan.wanted:
            raise UserError("The task has no hyperparameters to learn; train it with method=none.")
        self.mode: Mode = plan.mode.resolve(plan, known)
        self.names = names(phi)
        plan.method.check(self.names)
        self._recorder = Recorder(problem, self.names, self._hooks.keep)
        self._playout = Playout(self.work, self.mode, self._after_segment)
        start = partial(self.mode.start, plan)

        def begin(state: InnerState, phi: Hyperparams) -> Snapshot:
            carry, meta_state = start(state, phi), meta_optimizer.init(phi)
            return Snapshot(Position(), state, carry, None, phi, meta_state)

        self._initial = {seed: begin(*pair) for seed, pair in starts.items()}
        self.snapshots, self.finished, self.resumed = restore(
            self._initial, checkpoints or {}, self._is_over, start
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

    def checkpoint(self) -> None:
        """Hand every seed's snapshot to the checkpoint hook, now."""
        if self._hooks.checkpoint is not None:
            for seed, snapshot in self.snapshots.items():
                columns = self.mode.columns(snapshot.carry)
                self._hooks.checkpoint(seed, to_bytes(snapshot, columns, seed))
        self._saved = time.monotonic()

    def _is_over(self, snapshot: Snapshot) -> bool:
        """Whether it has diverged, is to stop then, and its last interval is at its end."""
        place = snapshot.position
        stops = self._plan.stop_when_diverged and snapshot.diverged
        return stops and place == Position(place.outer_step)

    def _iterate(self) -> Iterator[IntervalRecord]:
        if not self.resumed:
            yield from self._before_training()
            # So that seeds side by side have a place in common, whenever they are killed.
            self.checkpoint()
        schedule = self._plan.schedule
        while self.snapshots and self.position.outer_step <= schedule.outer_steps:
            done = self.position.outer_step * schedule.interval
            yield from self._outer_step()
            over = {seed: s for seed, s in self.snapshots.items() if self._is_over(s)}
            # Intervals of a single step would write more than they train.
            if over or self._overdue() or schedule.evaluates(done):
                self.checkpoint()
            self.finished = {**self.finished, **over}
            self.snapshots = {k: s for k, s in self.snapshots.items() if k not in over}

    def _before_training(self) -> Iterator[IntervalRecord]:
        moment, compiling = self._moment(0), self.work.programs.compile_seconds
        metrics, evaluating = self._evaluate(self.snapshots, step=0)
        compiling = self.work.programs.compile_seconds - compiling
        for seed, snapshot in self.snapshots.items():
            record = partial(self._recorder.record, seed, moment, snapshot, metrics[seed])
            yield record(compile_seconds=compiling, evaluation_seconds=evaluating)

    def _outer_step(self) -> Iterator[IntervalRecord]:
        moment, programs = self._moment(self.position.outer_step), self.work.programs
        compiling = programs.compile_seconds
        played = self._playout.play(self.snapshots)
        end = moment.outer_step * moment.interval
        metrics, evaluating = self._evaluate(played, end, self.mode.mean)
        records, after = [], {}
        for seed, snapshot in played.items():
            running = programs.seconds
            with programs.timed():
                estimate = self._estimate(snapshot, replace(moment, metrics=metrics[seed]))
            new, moved = self._meta_step(replace(snapshot, memory=estimate.memory), estimate)
            after[seed] = self._advance(new, self._initial[seed].state)
            record = partial(self._recorder.record, seed, moment, snapshot, metrics[seed], estimate)
            records += [
                record(
                    skipped=estimate.hypergradient is not None and not moved,
                    seconds=snapshot.seconds + programs.seconds - running,
                    compile_seconds=programs.compile_seconds - compiling,
                    evaluation_seconds=evaluating,
                )
            ]
        self.snapshots = after
        yield from records

    def _moment(self, outer_step: int) -> Moment:
        schedule = self._plan.schedule
        return Moment(outer_step, schedule.outer_steps, schedule.interval, self.names)

    def _evaluate(
        self, snapshots: Snapshots, step: int, mean: Mean | None = None
    ) -> tuple[dict[int, dict], float]:
        """By seed, metrics, none where they are not taken; and the seconds that it took."""
        before, wanted = self.work.programs.seconds, self._plan.schedule.evaluates(step)
        metrics = evaluate(self.work, snapshots, mean) if wanted else {s: {} for s in snapshots}
        return metrics, self.work.programs.seconds - before

    def _estimate(self, snapshot: Snapshot, moment: Moment) -> Estimate:
        measured, diagnostics = self.mode.read(snapshot)
        named = self._problem.describe(snapshot.phi).items()
        values = {name: float(value) for name, value in named if jnp.ndim(value) == 0}
        moment = replace(moment, memory=snapshot.memory, values=values)
        made = self._plan.method.estimate(measured, moment)
        remarks = [*made.remarks, *without_effect(measured, moment)]
        arrays = {"trajectory": measured.h, "hypergradient": np.asarray(made.hypergradient)}
        diagnostics, arrays = {**made.diagnostics, **diagnostics}, {**arrays, **made.arrays}
        return replace(made, diagnostics=diagnostics, remarks=remarks, arrays=arrays)

    def _advance(self, snapshot: Snapshot, initial: InnerState) -> Snapshot:
        """Drop the playout, and stand at the start of the next outer step."""
        outer_step = snapshot.position.outer_step
        state, carry = snapshot.kept or (snapshot.state, snapshot.carry)
        restart = not self._plan.method.keeps and outer_step < self._plan.schedule.outer_steps
        if restart:
            state = initial
        # Tangents that are not finite would stay so, and no meta step be taken again.
        if restart or not (self._plan.carries and _finite(carry)):
            carry = self.mode.start(self._plan, state, snapshot.phi)
        return replace(
            snapshot,
            position=Position(outer_step + 1),
            state=state,
            carry=carry,
            kept=None,
            measured={},
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
        return time.monotonic() - self._saved > self._plan.numerics.checkpoint_seconds


def _finite(carry: object) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(carry))
