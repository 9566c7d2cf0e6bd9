"""What a tracker is, and several of them as one that cannot harm the run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, final

from glocal_exp.records import IntervalRecord
from glocal_exp.tracking.bounded import Shield


class Sink:
    """Consumes the records of one program, which may train several seeds at once or in turn.

    What a tracker leaves out does nothing, so that this class itself tracks nothing. Any call may
    raise: `Fanout` then drops the tracker with one line.

    Attributes:
        name: what that line calls it.
        patience: of a tracker that may hang: for how many seconds its `start` and `finish` are
            waited for. Its calls are made in a thread of their own; None makes them at once.
    """

    name: str = "Tracker"
    patience: Mapping[str, float] | None = None

    def start(self, run_info: Mapping[str, Any]) -> None:
        """Announce the run of one seed; called once per seed, before its first record.

        Args:
            run_info: `seed`, `experiment`, `variant`, `method`, `steps` (T), `interval` (tau),
                `outer_steps` (S), `path` (the run directory), `config` (nested dict),
                `data` (what the data are called) and
                `resumed_step` (training steps done by earlier programs; 0 if fresh).
                Keys that a sink needs and does not find are left out of what it shows.
        """

    def record(self, record: IntervalRecord) -> None:
        """Take one outer step, without its arrays; `record.seed` names the run."""

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        """Tell how far the work is, between records; only a tracker without `patience` is told.

        Args:
            step: work done, in any unit that grows evenly with time (training or tangent steps).
            total_steps: all work of the run in that unit; more than T where playouts are counted.
            note: a few words on what is going on.
            seed: the run it is about; None for all runs that are open.
        """

    def finish(self, status: str, seed: int | None = None) -> None:
        """Close one run, or all that are open: `complete`, `interrupted` or `failed`."""

    def abandon(self) -> None:
        """Let go of what is held; after a failure, as the last call."""


@final
class Fanout(Sink):
    """Hands everything to several sinks; one that raises or hangs is dropped with one line."""

    def __init__(self, sinks: Sequence[Sink]):
        self._sinks = [(s, Shield(s.name, s.abandon, s.patience)) for s in sinks]
        self._open: list[int] = []

    def start(self, run_info: Mapping[str, Any]) -> None:
        self._open.append(int(run_info.get("seed") or 0))
        self._all("start", run_info)

    def record(self, record: IntervalRecord) -> None:
        # one that is behind would hold the arrays
        self._all("record", replace(record, arrays={}))

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        for sink, shield in self._sinks:
            if sink.patience is None:
                shield(sink.progress, step, total_steps, note, seed)

    def finish(self, status: str, seed: int | None = None) -> None:
        for each in [each for each in self._open if seed in (None, each)]:
            self._open.remove(each)
            self._all("finish", status, each)

    def _all(self, call: str, *arguments: Any) -> None:
        for sink, shield in self._sinks:
            shield(getattr(sink, call), *arguments)
