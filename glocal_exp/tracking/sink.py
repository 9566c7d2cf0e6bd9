"""What a tracker is, and several of them as one: none harms a run or holds it up."""

import atexit
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, final

from glocal_exp.records import IntervalRecord

EXIT_SECONDS = 5.0  # choice: what a broken sink may cost when the program ends


class Sink:
    """Consumes the records of one program, which may train several seeds at once or in turn.

    What a tracker leaves out does nothing, so that this class itself tracks nothing. Any call may
    raise: `Fanout` then drops the tracker with one line.
    """

    name: str = "Tracker"  # what that line calls it
    # of a tracker that may hang: for how many seconds its `start` and `finish` are waited for. Its
    # calls are made in other threads, in order; None makes them at once
    patience: Mapping[str, float] | None = None

    def start(self, run_info: Mapping[str, Any]) -> None:
        """Announce the run of one seed; called once per seed, before its first record.

        Args:
            run_info: `seed`, `experiment`, `variant`, `method`, `steps` (T), `interval` (tau),
                `outer_steps` (S), `path` (the run directory), `config` (nested dict),
                `data` (what the data are called) and
                `resumed_step` (training steps done by earlier programs; 0 if fresh).
        """

    def record(self, record: IntervalRecord) -> None:
        """Take one outer step, without its arrays; `record.seed` names the run."""

    def progress(self, step: int, total_steps: int, note: str, seed: int) -> None:
        """Tell how far a run is, between records; only a tracker without `patience` is told.

        Args:
            step: work done, in any unit that grows evenly with time (training or tangent steps).
            total_steps: all work of the run in that unit; more than T where playouts are counted.
            note: a few words on what is going on.
            seed: names the run.
        """

    def finish(self, status: str, seed: int) -> None:
        """Close a run: `complete`, `interrupted` or `failed`."""

    def abandon(self) -> None:
        """Let go of what is held; after a failure, as the last call."""


@final
class Fanout:
    """Hands everything to several sinks; one that raises or hangs is dropped with one line."""

    def __init__(self, sinks: Sequence[Sink]):
        self._shields = [Shield(sink) for sink in sinks]
        self._open: list[int] = []

    def start(self, run_info: Mapping[str, Any]) -> None:
        self._open.append(run_info["seed"])
        self._all("start", run_info)

    def record(self, record: IntervalRecord) -> None:
        # one that is behind would hold the arrays
        self._all("record", replace(record, arrays={}))

    def progress(self, step: int, total_steps: int, note: str, seed: int) -> None:
        for shield in self._shields:
            if shield.sink.patience is None:
                shield("progress", step, total_steps, note, seed)

    def finish(self, status: str, seed: int | None = None) -> None:
        """Close one run, or all that are open."""
        for each in [each for each in self._open if seed in (None, each)]:
            self._open.remove(each)
            self._all("finish", status, each)

    def _all(self, call: str, *arguments: Any) -> None:
        for shield in self._shields:
            shield(call, *arguments)


class Shield:
    """Makes a sink's calls until one of them raises; then says so in one line and drops the rest.

    A sink with `patience` is called in daemon threads, so that a call that hangs dies with the
    program; each waits for the one before it.
    """

    def __init__(self, sink: Sink):
        self.sink, self._broken = sink, False
        self._newest: threading.Thread | None = None

    def __call__(self, call: str, *arguments: Any) -> None:
        function = functools.partial(getattr(self.sink, call), *arguments)
        if self.sink.patience is None:
            self._make(function)
        else:
            self._make(lambda: self._make_in_turn(function, call))

    def _make(self, function: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            function()
        except (Exception, SystemExit) as error:
            self._fail(f"{type(error).__name__}: {error}")

    def _make_in_turn(self, function: Callable[[], object], call: str) -> None:
        before, patience = self._newest, self.sink.patience or {}

        def work() -> None:
            if before is not None:
                before.join()
            self._make(function)

        self._newest = threading.Thread(target=work, name=self.sink.name, daemon=True)
        self._newest.start()
        if call in patience:
            self._newest.join(patience[call])
            if self._newest.is_alive():
                self._fail(f"it did not {call} within {patience[call]:.0f} s")

    def _fail(self, reason: str) -> None:
        """Give up, for a reason of which the first line is shown; only the first time counts."""
        if self._broken:
            return
        self._broken = True
        try:
            if self.sink.patience is None:
                self.sink.abandon()
            else:
                at_exit(self.sink.abandon, EXIT_SECONDS)
        except Exception as error:
            reason = f"{reason}; {error}"
        first_line = next(iter(reason.strip().splitlines()), "")
        warn(f"{self.sink.name} stopped, the run goes on without it ({first_line})")


@functools.cache
def at_exit(function: Callable[[], object], seconds: float) -> None:
    """Call `function` once when the program ends, and let it end after `seconds` all the same.

    What it raises is dropped. Functions registered later are called first.
    """
    leaving = threading.Event()

    def work() -> None:
        leaving.wait()
        with contextlib.suppress(BaseException):
            function()

    # started now: Python may refuse new threads once it is ending
    thread = threading.Thread(target=work, name=f"{__name__}.at_exit", daemon=True)
    thread.start()
    atexit.register(thread.join, seconds)
    atexit.register(leaving.set)  # the later one is called first


def warn(message: str) -> None:
    """Print one line to stderr, if there still is one."""
    with contextlib.suppress(Exception):
        print(message, file=sys.stderr, flush=True)
