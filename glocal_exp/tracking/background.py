"""Calls that may hang: in a thread that nobody waits for longer than they want to."""

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, final


@final
class Worker:
    """A thread that makes calls in order; a daemon, so that a call that hangs dies with us.

    Args:
        make: makes a call, given the function and its arguments; must not raise.
        name: the thread's name.
    """

    def __init__(self, make: Callable[..., None], name: str):
        self._make = make
        self._calls: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, function: Callable[..., object], *arguments: Any) -> threading.Event:
        """Queue a call; the event is set when it has been made."""
        done = threading.Event()
        self._calls.put((done, function, *arguments))
        return done

    def stop(self) -> None:
        """End the thread after the calls that are queued."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            done, function, *arguments = call
            self._make(function, *arguments)
            done.set()


def at_exit(function: Callable[[], object], seconds: float) -> None:
    """Call `function` when the program ends, and let it end after `seconds` all the same.

    What `function` raises is dropped. Functions registered later are called first.
    """
    leaving, left = threading.Event(), threading.Event()

    def work() -> None:
        leaving.wait()
        with contextlib.suppress(BaseException):
            function()
        left.set()

    def leave() -> None:
        leaving.set()
        left.wait(seconds)

    # started now: Python may refuse new threads once it is ending
    threading.Thread(target=work, name=f"{__name__}.at_exit", daemon=True).start()
    atexit.register(leave)
