"""What a tracker is, and the shield that keeps its failures away from the run."""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, final

from glocal_exp.records import IntervalRecord


class Sink(Protocol):
    """Consumes the records of one program, which may train several seeds at once or in turn."""

    def start(self, run_info: Mapping[str, Any]) -> None:
        """Announce the run of one seed; called once per seed, before its first record.

        Args:
            run_info: `seed`, `experiment`, `variant`, `method`, `steps` (T), `interval` (tau),
                `outer_steps` (S), `path` (the run directory), `config` (nested dict),
                `data` (what the data are called) and
                `resumed_step` (training steps done by earlier programs; 0 if fresh).
                Keys that a sink needs and does not find are left out of what it shows.
        """
        ...

    def record(self, record: IntervalRecord) -> None:
        """Take one outer step; `record.seed` names the run."""
        ...

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        """Tell how far the work is, between records.

        Args:
            step: work done, in any unit that grows evenly with time (training or tangent steps).
            total_steps: all work of the run in that unit; more than T where playouts are counted.
            note: a few words on what is going on.
            seed: the run it is about; None for all runs that are open.
        """
        ...

    def finish(self, status: str, seed: int | None = None) -> None:
        """Close one run, or all that are open: `complete`, `interrupted` or `failed`."""
        ...


def warn(message: str) -> None:
    """Print one line to stderr, if there still is one."""
    with contextlib.suppress(Exception):
        print(message, file=sys.stderr, flush=True)


class Shield:
    """Runs calls until one of them raises; then says so in one line and drops all further calls.

    Args:
        name: what failed, as the line calls it.
        on_failure: cleans up before the line is printed; may raise.
    """

    def __init__(self, name: str, on_failure: Callable[[], None] = lambda: None):
        self.name = name
        self.broken = False
        self._on_failure = on_failure

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        if self.broken:
            return
        try:
            function(*arguments)
        except (Exception, SystemExit) as error:
            self.fail(f"{type(error).__name__}: {error}")

    def fail(self, reason: str) -> None:
        """Give up, for a reason of which the first line is shown; only the first time counts."""
        if self.broken:
            return
        self.broken = True
        try:
            self._on_failure()
        except Exception as error:
            reason = f"{reason}; {error}"
        first_line = next(iter(reason.strip().splitlines()), "")
        warn(f"{self.name} stopped, the run goes on without it ({first_line})")


@final
class Fanout:
    """Hands everything to several sinks; one that raises is dropped with one line."""

    def __init__(self, sinks: Sequence[Sink]):
        self._sinks = [(sink, Shield(type(sink).__name__)) for sink in sinks]

    def start(self, run_info: Mapping[str, Any]) -> None:
        """See `Sink.start`."""
        for sink, shield in self._sinks:
            shield(sink.start, run_info)

    def record(self, record: IntervalRecord) -> None:
        """See `Sink.record`."""
        for sink, shield in self._sinks:
            shield(sink.record, record)

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        """See `Sink.progress`."""
        for sink, shield in self._sinks:
            shield(sink.progress, step, total_steps, note, seed)

    def finish(self, status: str, seed: int | None = None) -> None:
        """See `Sink.finish`."""
        for sink, shield in self._sinks:
            shield(sink.finish, status, seed)
