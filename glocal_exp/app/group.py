"""Seeds that share one loop of the engine, between its hooks and their run directories."""

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from glocal_exp.app.build import Experiment
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.store import RunDirectory
from glocal_exp.tracking import Fanout

Complete = Callable[[int, Mapping[str, np.ndarray], bool], None]


class Group:
    """One loop, gone on with from the newest checkpoint that all its seeds have.

    Args:
        parts, directories: by seed.
        complete: is given a seed at its end, its weights, and whether it diverged.

    Attributes:
        resumed: goes on from checkpoints.
        steps_done: training steps done before, up to the last outer step that came to its end.
        fell_apart: its seeds have checkpoints, but none in common; nothing has been changed.
    """

    def __init__(
        self,
        experiment: Experiment,
        parts: Mapping[int, ImageSplits],
        directories: Mapping[int, RunDirectory],
        sinks: Fanout,
        stop: Stop,
        complete: Complete,
    ):
        self._cfg, self._plan = experiment.cfg, experiment.plan
        self._directories = dict(directories)
        self._sinks, self._stop, self._complete = sinks, stop, complete
        checkpoints = {s: list(d.load_checkpoints()) for s, d in directories.items()}
        self._loop = experiment.loop(parts, self._hooks(), checkpoints)
        self.resumed = self._loop.resumed
        self.fell_apart = any(checkpoints.values()) and not self.resumed
        self.steps_done = (self._loop.position.outer_step - 1) * self._cfg.interval

    def train(self) -> None:
        """Train until all seeds are complete.

        Raises:
            Interrupted: when asked to stop; every seed has a checkpoint of where it stands.
        """
        loop = self._loop
        for seed, directory in self._directories.items():
            snapshot = {**loop.snapshots, **loop.finished}[seed]
            directory.update_manifest(differentiation=loop.mode.name)
            directory.truncate(snapshot.position.outer_step - 1 if self.resumed else None)
        self._count_work()
        for seed in loop.snapshots:
            self._tell("compiling" if self.resumed else "compiling and evaluating", seed)
        try:
            for record in loop:
                self._directories[record.seed].append(record)
                self._sinks.record(record)
                if record.outer_step == 0:
                    self._tell("compiling", record.seed)
        except Interrupted:
            loop.checkpoint()
            raise
        for seed in list(self._directories):
            self._end(seed)

    def _hooks(self) -> Any:
        from glocal_exp.engine import Hooks

        keep = self._cfg.keep_arrays
        return Hooks(
            checkpoint=self._checkpoint,
            progress=self._progress,
            keep=lambda s: s <= keep.first or (keep.every > 0 and s % keep.every == 0),
        )

    def _count_work(self) -> None:
        """Steps that each outer step computes, playouts included."""
        outer_steps = range(1, self._cfg.steps // self._cfg.interval + 1)
        lengths = [(1 + self._plan.lookahead(s)) * self._cfg.interval for s in outer_steps]
        self._before = [0, *accumulate(lengths)]

    def _progress(self, step: int, steps: int) -> None:
        """Between two stretches of training: the place where a run may stop."""
        for seed in self._loop.finished.keys() & self._directories.keys():
            self._end(seed)
        note = f"playout {step}/{steps}" if steps > self._cfg.interval else ""
        trained = self._loop.position.outer_step * self._cfg.interval
        if step == steps and self._plan.schedule.evaluates(trained):
            note = "evaluating"
        for seed in self._loop.snapshots:
            self._tell(note, seed, step)
        self._stop.check()

    def _tell(self, note: str, seed: int, step: int = 0) -> None:
        """Say what is going on after some steps of the current outer step's playout."""
        done = self._before[self._loop.position.outer_step - 1] + step
        self._sinks.progress(done, self._before[-1], note, seed)

    def _checkpoint(self, seed: int, content: bytes) -> None:
        self._directories[seed].save_checkpoint(content)

    def _end(self, seed: int) -> None:
        snapshot = {**self._loop.snapshots, **self._loop.finished}[seed]
        del self._directories[seed]
        self._complete(seed, _weights(snapshot.state.params), snapshot.diverged)


def _weights(params: Any) -> dict[str, np.ndarray]:
    """Parameters by their path in the tree (`conv1/0`)."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in leaves
    }
