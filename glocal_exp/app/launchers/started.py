"""Launchers that start a process for each task: one loop, one command line, one log."""

import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Collection, Generator, Hashable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from glocal_exp.app.launchers.launcher import End, Launcher, Task
from glocal_exp.app.say import BUSY, INTERRUPTED, say
from glocal_exp.app.stop import UNTIL, Stop
from glocal_exp.errors import UserError
from glocal_exp.store.files import make_directory

LOST = -1000  # in place of an exit code: what was to give one is gone
ERROR = re.compile(r"error: |[\w.]+(Error|Exception): ")
"""How a sentence begins, or the end of a traceback, which notes may follow."""
PAUSE_SECONDS = 0.1  # choice: between two looks at what is under way


@dataclass(frozen=True)
class Order:
    """What a process is to do, as it travels to where it is started."""

    words: tuple[str, ...]  # of the command line, behind `glocal`
    log: Path  # what it prints is added to this file
    folder: Path  # that it is started in
    # variables, over those that are there
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, **options: Any) -> subprocess.Popen:
        """Start it; it does not outlive who has started it, so that nobody waits for its lock."""
        make_directory(self.log.parent)
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        words = [*guard, sys.executable, "-m", "glocal_exp", *self.words]
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S} on {socket.gethostname()}"
        with self.log.open("ab", buffering=0) as log:
            log.write(f"# {now}: glocal {' '.join(self.words)}\n".encode())
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | self.environment,
                **options,
            )


@dataclass
class Underway:
    """A task that has been handed over."""

    task: Task
    size: int  # bytes of its log before
    began: float | None = None  # when it was seen to have begun; None while it waits for its turn


class Started(Launcher):
    """What its kinds have in common; a handle is what one of them knows a started task by.

    Args:
        n: how many tasks at a time, as far as there is room for them.
        retries: how often a task is taken up again.
    """

    def __init__(self, n: int, retries: int):
        if n < 1:
            raise UserError(f"launcher.n={n} is not at least 1; raise it.")
        self.retries = retries

    @abstractmethod
    def room(self, running: int) -> int:
        """How many tasks more may be handed over while some are."""

    @abstractmethod
    def submit(self, orders: Sequence[Order]) -> Sequence[Hashable]:
        """Hand tasks over; a handle for each."""

    @abstractmethod
    def ended(self, handles: Collection[Any]) -> Mapping[Any, int | str]:
        """Of those that have ended the exit codes, below zero for one that was killed.

        Of one that is lost what is known of it.
        """

    @abstractmethod
    def interrupt(self, handles: Collection[Any]) -> None:
        """Ask tasks to stop where they can go on from.

        By SIGTERM: that of Ctrl-C is ignored in the background of a shell, and blocked by Ray.
        """

    def run(self, tasks: Iterable[Task], stop: Stop) -> Generator[End]:
        waiting, running = iter(tasks), {}
        with self._stopping(running), stop.training():
            while True:
                new = list(islice(waiting, self.room(len(running))))
                if new:
                    limit = {} if stop.until is None else {UNTIL: str(stop.until)}
                    orders = [Order(task.words, task.log, Path.cwd(), limit) for task in new]
                    under = [Underway(task, _size(task.log)) for task in new]
                    running.update(zip(self.submit(orders), under, strict=True))
                if not running:
                    return
                for underway in running.values():
                    _announce(underway)
                codes = self.ended(running)
                yield from [_end(running.pop(handle), code) for handle, code in codes.items()]
                if not codes:
                    time.sleep(PAUSE_SECONDS)
                stop.check()

    @contextmanager
    def _stopping(self, running: dict[Any, Underway]) -> Generator[None]:
        """Whatever ends the loop early, tasks under way are asked to stop, and waited for."""
        try:
            yield
        finally:
            if running:
                self.interrupt(running)
                say(f"waiting for {len(running)} jobs to save and stop")
            while running:
                for handle, code in self.ended(running).items():
                    _end(running.pop(handle), code)
                time.sleep(PAUSE_SECONDS)


def needed(package: str, extra: str) -> Any:
    """A package that not everybody needs; `UserError` where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"launcher={extra} needs {package}, which is missing; install the extra {extra}, as by "
            f"`make setup EXTRAS={extra}`."
        ) from error


def _shown(log: Path) -> Path:
    return log.relative_to(Path.cwd()) if log.is_relative_to(Path.cwd()) else log


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _announce(underway: Underway) -> None:
    """Say once that a task has begun: its log has grown."""
    if underway.began is None and _size(log := underway.task.log) > underway.size:
        underway.began = time.monotonic()
        say(f"{underway.task.heading}: begun, its log is {_shown(log)}")


def _end(underway: Underway, code: int | str) -> End:
    """Say how a task ended; what is known of one that is lost goes to its log."""
    _announce(underway)
    task, log = underway.task, _shown(underway.task.log)
    took = f" after {time.monotonic() - underway.began:.0f} s" if underway.began else ""
    told = _sentence(task.log, underway.size)
    if isinstance(code, str):
        make_directory(task.log.parent)
        with task.log.open("a") as file:
            file.write(f"{code}\n")
        code = LOST
    if code == 0:
        say(f"{task.heading}: done{took}")
    elif code == INTERRUPTED:
        say(f"{task.heading}: interrupted{took}")
    elif code < 0:
        told = "lost" if code == LOST else f"killed by {signal.Signals(-code).name}"
        say(f"{task.heading}: {told}{took}; its log is {log}")
    elif code != BUSY:
        print(
            f"error: {task.heading}: failed{took}: {told.rstrip('.')}; its log is {log}",
            file=sys.stderr,
        )
    return End(task, code, told)


def _sentence(log: Path, start: int) -> str:
    """What a command said was wrong, in its part of a log: its error, else its last line."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines() if log.exists() else []
    errors = [line for line in lines if ERROR.match(line)]
    return [*lines, *errors][-1].removeprefix("error: ") if lines else ""
