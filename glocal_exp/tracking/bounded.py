"""Calls that may raise, hang, or wait for a dead server: none harms a run or holds it up."""

import atexit
import contextlib
import functools
import http.client
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

EXIT_SECONDS = 5.0  # choice: what a broken sink may cost when the program ends


class Shield:
    """Makes calls until one of them raises; then says so in one line and drops all further ones.

    With `patience` the calls are made, in order, in a thread that ends when there are no more. It
    is a daemon, so that a call that hangs dies with the program.

    Args:
        name: what failed, as the line calls it.
        on_failure: cleans up before the line is printed, or with `patience` at the end of the
            program; may raise.
        patience: by a function's name, for how many seconds its calls are waited for; None makes
            all calls at once.
    """

    def __init__(
        self,
        name: str,
        on_failure: Callable[[], None] = lambda: None,
        patience: Mapping[str, float] | None = None,
    ):
        self.name, self.broken = name, False
        self._on_failure, self._patience = on_failure, patience
        self._calls: deque[tuple[threading.Event, Callable[..., object], tuple[Any, ...]]] = deque()
        self._lock, self._working = threading.Lock(), False

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        if self._patience is None:
            self._make(function, *arguments)
        else:
            self._make(self._submit, function, self._patience.get(function.__name__), arguments)

    def fail(self, reason: str) -> None:
        """Give up, for a reason of which the first line is shown; only the first time counts."""
        if self.broken:
            return
        self.broken = True
        try:
            if self._patience is None:
                self._on_failure()
            else:
                at_exit(self._on_failure, EXIT_SECONDS)
        except Exception as error:
            reason = f"{reason}; {error}"
        first_line = next(iter(reason.strip().splitlines()), "")
        warn(f"{self.name} stopped, the run goes on without it ({first_line})")

    def _make(self, function: Callable[..., object], *arguments: Any) -> None:
        if self.broken:
            return
        try:
            function(*arguments)
        except (Exception, SystemExit) as error:
            self.fail(f"{type(error).__name__}: {error}")

    def _submit(self, function: Callable[..., object], seconds: float | None, arguments: Any):
        done = threading.Event()
        with self._lock:
            self._calls.append((done, function, arguments))
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name=self.name, daemon=True).start()
        if seconds is not None and not done.wait(seconds):
            self.fail(f"it did not {function.__name__} within {seconds:.0f} s")

    def _work(self) -> None:
        while True:
            with self._lock:
                self._working = bool(self._calls)
                if not self._working:
                    return
                done, function, arguments = self._calls.popleft()
            self._make(function, *arguments)
            done.set()


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


def unreachable(url: str, seconds: float) -> str | None:
    """Why a server cannot be reached, or None if it gives any answer in time."""
    try:
        urllib.request.urlopen(url, timeout=seconds).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        # the second is an answer too, if one that this Python's certificates do not cover
        answers = urllib.error.HTTPError, ssl.SSLCertVerificationError
        if not (isinstance(error, answers) or isinstance(reason, answers)):
            return f"{urlsplit(url).netloc}: {reason}"
    return None


def warn(message: str) -> None:
    """Print one line to stderr, if there still is one."""
    with contextlib.suppress(Exception):
        print(message, file=sys.stderr, flush=True)
