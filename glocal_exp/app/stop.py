"""Ctrl-C, SIGTERM and a limit of time: training is asked to stop at a place to go on from."""

import contextlib
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from glocal_exp.app.say import INTERRUPTED, say

SIGNALS = (signal.SIGINT, signal.SIGTERM)
UNTIL = "GLOCAL_UNTIL"  # the variable that tells a started process its limit, in seconds since 1970
GRACE_SECONDS = 3.0  # choice: for an orderly end after the second signal
MARGIN = 1.5  # choice: a stretch may take so many times as long as the one before
SHOW_CURSOR = "\x1b[?25h"  # which progress bars hide


class Interrupted(Exception):
    """The run was asked to stop, and did at a place from which it can go on."""


class OutOfTime(Interrupted):
    """It was not asked to, but what comes next may take longer than the limit allows."""


class Stop:
    """Whether the program has been asked to stop; `Stop.listening` hears the signals.

    Python's own handlers wait until the main thread is back from XLA, which may take minutes to
    compile or to evaluate a large network; a second thread hears a signal when it comes.

    Attributes:
        asked: a signal came while training.
    """

    def __init__(self):
        self.asked = False
        self._training = False
        self._over = threading.Event()
        self._began = self._checked = time.monotonic()
        self._limit, self._margin = math.inf, 1.0
        if limit := os.environ.get(UNTIL):
            self._limit = self._began + float(limit) - time.time()

    def after(self, minutes: float) -> None:
        """Set a limit, counted from when the program began."""
        self._limit = self._began + 60 * minutes

    @property
    def seconds_left(self) -> float:
        """Until the limit; infinity if there is none."""
        return self._limit - time.monotonic()

    @property
    def until(self) -> float | None:
        """The limit in seconds since 1970, None if there is none."""
        return time.time() + self.seconds_left if math.isfinite(self._limit) else None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear Ctrl-C and SIGTERM, unless they are ignored or this is not the main thread."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ValueError):
                for name in SIGNALS:
                    if signal.getsignal(name) != signal.SIG_IGN:  # a shell's background job ignores
                        stack.callback(signal.signal, name, signal.signal(name, self._hear))
                stack.enter_context(self._watched())
            yield

    @contextmanager
    def training(self) -> Iterator[None]:
        """Inside, the first signal waits for `check`; the second, or any outside, does not."""
        self._training, self._checked, self._margin = True, time.monotonic(), 1.0
        try:
            yield
        finally:
            self._training = False

    def check(self) -> None:
        """Raise `Interrupted` if asked to stop, `OutOfTime` if the limit is near."""
        if self.asked:
            raise Interrupted
        before, self._checked = self._checked, time.monotonic()
        if self.seconds_left < self._margin * (self._checked - before):
            raise OutOfTime
        self._margin = MARGIN  # the first stretch had compiling in it

    def _hear(self, *_: Any) -> None:
        if self.asked or not self._training:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Have every signal's number written to a thread, whatever the main thread is in."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._over.clear()
        watcher = threading.Thread(target=self._watch, args=(reader,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            signal.set_wakeup_fd(before)
            writer.close()
            watcher.join(GRACE_SECONDS)
            reader.close()

    def _watch(self, reader: socket.socket) -> None:
        heard = 0
        while number := reader.recv(1):
            if number[0] not in SIGNALS:
                continue
            heard += 1
            if heard == 1 and self._training:
                with contextlib.suppress(RuntimeError):  # whatever ails the stream, hear the second
                    say("\nstopping after this stretch of training; once more stops at once")
            elif heard > 1 and not self._over.wait(GRACE_SECONDS):
                _end()


def _end() -> None:
    """Leave without the main thread; run directories stand up to that as to a kill."""
    cursor = SHOW_CURSOR if sys.stderr.isatty() else ""
    note = "stopped at once: what was saved is kept; the same command goes on.\n"
    with contextlib.suppress(OSError):
        os.write(2, (cursor + note).encode())
    os._exit(INTERRUPTED)
