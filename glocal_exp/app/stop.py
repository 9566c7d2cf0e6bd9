"""Ctrl-C and SIGTERM: while training, the first one asks to stop at a place to go on from."""

import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from glocal_exp.app.say import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The run was asked to stop, and did at a place from which it can go on."""


class Stop:
    """Whether the program has been asked to stop; `Stop.listening` hears the signals.

    Attributes:
        asked: a signal came while training.
    """

    def __init__(self):
        self.asked = False
        self._training = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear Ctrl-C and SIGTERM, unless they are ignored or this is not the main thread."""
        before = {}
        with contextlib.suppress(ValueError):
            for name in SIGNALS:
                if signal.getsignal(name) != signal.SIG_IGN:  # a shell's background job ignores
                    before[name] = signal.signal(name, self._hear)
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Inside, the first signal waits for `check`; the second, or any outside, does not."""
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def check(self) -> None:
        """Raise `Interrupted` if asked to stop."""
        if self.asked:
            raise Interrupted

    def _hear(self, number: int, _: Any) -> None:
        if self.asked or not self._training:
            raise KeyboardInterrupt
        self.asked = True
        # The signal may have come in the middle of another print, which Python does not let in.
        with contextlib.suppress(RuntimeError):
            say("\nstopping after this stretch of training; once more stops at once")
