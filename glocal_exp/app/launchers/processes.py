"""Processes on this machine, each with its share of cores and GPUs."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from glocal_exp.app.launchers.started import Order, Started
from glocal_exp.store.manifest import usable_cores

MEMORY = 0.75  # the part of a GPU's memory that JAX takes unless it is told otherwise
Process = subprocess.Popen


class Processes(Started):
    """`n` at a time; with more of them than cores or GPUs, some share one."""

    def __init__(self, n: int, retries: int):
        super().__init__(n, retries)
        self._free, self._places = list(range(n))[::-1], {}
        self._cores, self._gpus = _shares(usable_cores(), n), _shares(_gpus(), n)

    def room(self, running: int) -> int:
        return len(self._free)

    def submit(self, orders: Sequence[Order]) -> list[Process]:
        return [self._start(order) for order in orders]

    def _start(self, order: Order) -> Process:
        place = self._free.pop()
        gpu = {}
        if self._gpus:
            sharing = sum(gpus == self._gpus[place] for gpus in self._gpus)
            gpu["CUDA_VISIBLE_DEVICES"] = ",".join(self._gpus[place])
            gpu["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{MEMORY / sharing:.2f}"
        order = replace(order, environment={**order.environment, **gpu})
        with _pinned(self._cores[place]):
            # A group of its own: Ctrl-C in a terminal is this process's to pass on, once.
            process = order.start(process_group=0)
        self._places[process] = place
        return process

    def ended(self, handles: Collection[Process]) -> Mapping[Process, int | str]:
        codes = {handle: code for handle in handles if (code := handle.poll()) is not None}
        self._free += [self._places.pop(process) for process in codes]
        return codes

    def interrupt(self, handles: Collection[Process]) -> None:
        for process in handles:
            process.send_signal(signal.SIGTERM)


def _shares(all_of_them: Sequence[Any], n: int) -> list[list[Any]]:
    """Cut into `n` parts that differ by one at most; none is empty, so that some may be shared."""
    count = len(all_of_them)
    if not count:
        return []
    ends = [place * count // n for place in range(n + 1)]
    return [list(all_of_them[a : max(b, a + 1)]) for a, b in pairwise(ends)]


@contextmanager
def _pinned(cores: Sequence[int]) -> Iterator[None]:
    """What is started inside of it stays on some cores, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, by number or name."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return []
