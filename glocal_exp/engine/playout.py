"""One outer step's training: as many intervals as the method looks ahead, segment by segment."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots
from glocal_exp.engine.modes.mode import LOSSES, Mode
from glocal_exp.engine.work import Marks, Segment, Work
from glocal_exp.records import Costs


@dataclass(frozen=True)
class Playout:
    """Trains all seeds from wherever they stand in an outer step to the end of its playout.

    An interval is differentiated if the method wants something measured and either it is the
    playout's last, where that is done, or derivatives reach over all of the playout.
    """

    work: Work
    mode: Mode  # what differentiates
    # is given the snapshots, steps done and steps in all, after every segment but before the next;
    # the place where a run may be saved or stopped
    after_segment: Callable[[Snapshots, int, int], None]

    def play(self, snapshots: Snapshots) -> Snapshots:
        """The snapshots at the end of the current outer step's playout."""
        plan, place = self.work.plan, _position(snapshots)
        interval, intervals = plan.schedule.interval, 1 + plan.lookahead(place.outer_step)
        marks, total = Marks.of(plan.wanted, interval), interval * intervals
        pause = partial(self.after_segment, snapshots, 0, total)
        first = self._steps_done(Position(place.outer_step))
        snapshots = self.mode.prepare(self.work, snapshots, self._steps_done(place), pause)
        while (place := _position(snapshots)).interval < intervals:
            last = place.interval == intervals - 1
            active = bool(plan.wanted) and (last or not plan.method.fresh)
            lengths = self.mode.lengths(plan) if active else plan.numerics.pieces(interval)
            # A checkpoint may be from segments of another length: on to the next end all the same.
            stop = next(end for end in np.cumsum(lengths).tolist() if end > place.step)
            part = marks.part(place.step, stop, last=last) if active else None
            snapshots = self._segment(snapshots, part, stop - place.step)
            snapshots = {seed: self._move_on(s, stop, intervals) for seed, s in snapshots.items()}
            self.after_segment(snapshots, place.interval * interval + stop, total)
        # The playout is not over before what the mode still has to do: short of its last step.
        return self.mode.finish(
            self.work, snapshots, first, lambda going: self.after_segment(going, total - 1, total)
        )

    def _move_on(self, snapshot: Snapshot, stop: int, intervals: int) -> Snapshot:
        """To the next segment; what a greedy method keeps is set aside after one interval."""
        place, plan = snapshot.position, self.work.plan
        if stop < plan.schedule.interval:
            return replace(snapshot, position=replace(place, step=stop))
        keep = place.interval == 0 and plan.method.keeps and intervals > 1
        carry = snapshot.carry if plan.carries else None
        kept = (snapshot.state, carry) if keep else snapshot.kept
        return replace(snapshot, position=Position(place.outer_step, place.interval + 1), kept=kept)

    def _steps_done(self, place: Position) -> int:
        first = place.outer_step - 1 if self.work.plan.method.keeps else 0
        return (first + place.interval) * self.work.plan.schedule.interval + place.step

    def _segment(self, snapshots: Snapshots, marks: Marks | None, length: int) -> Snapshots:
        """All seeds after one more segment, differentiated where there are marks."""
        place, before = _position(snapshots), self.work.programs.seconds
        start, rows = self._steps_done(place), {}
        phi_in = self.work.phi_in
        there = {seed: replace(s, phi=phi_in(s, place.interval)) for seed, s in snapshots.items()}
        if marks is None:
            results, costs = self.work.train(there, start, length), Costs(plain_steps=length)
        else:
            results = self.mode.segment(self.work, there, start, marks, length)
            gradients = Costs(validation_gradients=marks.gradients())
            costs, rows = self.mode.costs(self.work.plan, length) + gradients, marks.rows()
        seconds = self.work.programs.seconds - before
        # Without greedy steps the whole playout is real, and the last interval is what counts.
        real = place.interval == 0 or not self.work.plan.method.keeps
        return {
            seed: replace(
                _absorb(snapshots[seed], result, rows, real=real),
                costs=snapshots[seed].costs + costs,
                seconds=snapshots[seed].seconds + seconds,
            )
            for seed, result in results.items()
        }


def _position(snapshots: Snapshots) -> Position:
    return next(iter(snapshots.values())).position


def _absorb(
    snapshot: Snapshot, segment: Segment, marked: dict[str, np.ndarray], *, real: bool
) -> Snapshot:
    """A segment's results added to what the outer step has gathered so far.

    Args:
        real: whether its training counts; that of an interval replaces the one before.
    """
    measured, losses = dict(snapshot.measured), snapshot.losses
    for name, mask in marked.items():
        if name in LOSSES and name not in segment.rows:  # a mode may not know them
            continue
        rows = np.asarray(segment.rows[name], np.float64)[mask]
        measured[name] = np.concatenate([measured[name], rows]) if name in measured else rows
    if real:
        before = losses if snapshot.position.step else losses[:0]
        losses = np.concatenate([before, np.asarray(segment.losses, np.float64)])
    return replace(
        snapshot,
        state=segment.state,
        carry=segment.carry,
        measured=measured,
        losses=losses,
        diverged=snapshot.diverged or (real and not bool(segment.finite)),
    )
