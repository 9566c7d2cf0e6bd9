"""Seeds that share one loop of the engine, between its hooks and their run directories."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import jax
import numpy as np

from glocal_exp.app.identity import Identity
from glocal_exp.app.say import say
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.data import Splits
from glocal_exp.engine import Hooks, Reverse
from glocal_exp.records import IntervalRecord
from glocal_exp.store import RunDirectory
from glocal_exp.tracking import Fanout


@dataclass
class Run:
    """One seed: its images, its locked directory, and whether this command has begun it."""

    images: Splits
    directory: RunDirectory
    is_new: bool = False


class Group:
    """One loop, gone on with from the newest checkpoint that all its seeds have.

    Args:
        runs: by seed; their manifests say that they are running.
        sinks: shown every record.
        stop: asked between stretches of training.

    Attributes:
        fell_apart: its seeds have checkpoints, but none in common; nothing has been changed.
    """

    def __init__(self, identity: Identity, runs: Mapping[int, Run], sinks: Fanout, stop: Stop):
        self._identity, self._sinks, self._stop = identity, sinks, stop
        self._cfg, self._plan = identity.experiment.cfg, identity.experiment.plan
        self._directories = {seed: run.directory for seed, run in runs.items()}  # of those to end
        checkpoints = {s: list(d.load_checkpoints()) for s, d in self._directories.items()}
        keep = self._cfg.keep_arrays
        hooks = Hooks(
            checkpoint=lambda seed, content: self._directories[seed].save_checkpoint(content),
            progress=self._progress,
            keep=lambda s: s <= keep.first or (keep.every > 0 and s % keep.every == 0),
        )
        images = {seed: run.images for seed, run in runs.items()}
        options = {"hooks": hooks, "checkpoints": checkpoints}
        options["programs"] = identity.experiment.programs
        self._loop = identity.experiment.loop(images, **options)
        # Whether a playout's sweep back comes after it, which takes as long and longer.
        self._sweeps = isinstance(self._loop.mode, Reverse) and self._plan.plays_out
        self.fell_apart = any(checkpoints.values()) and not self._loop.resumed

    def train(self) -> None:
        """Train until all seeds are complete, or `Interrupted` with checkpoints of all."""
        loop = self._loop
        # The steps that each outer step computes, playouts and sweeps back through them included.
        outer_steps = range(1, self._plan.schedule.outer_steps + 1)
        ways = self._cfg.interval * (2 if self._sweeps else 1)
        lengths = [(1 + self._plan.lookahead(s)) * ways for s in outer_steps]
        self._before = [0, *accumulate(lengths)]
        for seed in self._directories:
            self._start(seed)
        for seed in loop.snapshots:
            self._tell("compiling" if loop.resumed else "compiling and evaluating", seed)
        try:
            for record in loop:
                self._directories[record.seed].append(record)
                self._sinks.record(record)
                self._remark(record)
                if record.outer_step == 0:
                    self._tell("compiling", record.seed)
        except Interrupted:
            loop.checkpoint()
            raise
        for seed in list(self._directories):
            self._end(seed)

    def _start(self, seed: int) -> None:
        """Announce a seed, and take its records back to its checkpoint."""
        directory, loop = self._directories[seed], self._loop
        position = loop.position
        done = (position.outer_step - 1) * self._cfg.interval
        if loop.resumed:
            place = f"step {done}"
            if position.interval or position.step:
                place += f", within interval {position.outer_step}"
            say(f"going on from {place}: {directory.path}")
        elif directory.last_outer_step is not None:
            say(f"there is no checkpoint, so run from the start: {directory.path}")
        self._sinks.start(self._identity.told(seed, done))
        directory.update_manifest(differentiation=loop.mode.name)
        stands = {**loop.snapshots, **loop.finished}[seed].position.outer_step - 1
        directory.truncate(stands if loop.resumed else None)

    def _progress(self, step: int, steps: int) -> None:
        """Between two stretches of training: the place where a run may stop."""
        for seed in self._loop.finished.keys() & self._directories.keys():
            self._end(seed)
        interval, place = self._cfg.interval, self._loop.position
        note = f"playout {step}/{steps}" if steps > interval else ""
        swept = place.interval * interval - steps  # once all is trained, with what goes back
        if self._sweeps and (swept > 0 or step == steps):
            step, note = steps + swept, f"sweeping back {swept}/{steps}"
        elif step == steps and self._plan.schedule.evaluates(place.outer_step * interval):
            note = "evaluating"
        for seed in self._loop.snapshots:
            self._tell(note, seed, step)
        self._stop.check()

    def _tell(self, note: str, seed: int, step: int = 0) -> None:
        """Say what is going on after some steps of the current outer step's playout."""
        done = self._before[self._loop.position.outer_step - 1] + step
        self._sinks.progress(done, self._before[-1], note, seed)

    def _remark(self, record: IntervalRecord) -> None:
        """Say what there is to say of an outer step once, here and in the manifest."""
        directory = self._directories[record.seed]
        known = directory.manifest.get("remarks") or {}
        if new := {text: record.outer_step for text in record.remarks if text not in known}:
            for text, outer_step in new.items():
                say(f"note: seed {record.seed}, outer step {outer_step}: {text}")
            directory.update_manifest(remarks=known | new)

    def _end(self, seed: int) -> None:
        snapshot = {**self._loop.snapshots, **self._loop.finished}[seed]
        directory = self._directories.pop(seed)
        leaves = jax.tree_util.tree_leaves_with_path(snapshot.state.params)
        name = partial(jax.tree_util.keystr, simple=True, separator="/")  # as `conv1/0`
        directory.save_weights({name(path): np.asarray(leaf) for path, leaf in leaves})
        directory.complete(diverged=snapshot.diverged)
        self._sinks.finish("complete", seed)
        say(f"done{', though it diverged' * snapshot.diverged}: {directory.path}")
