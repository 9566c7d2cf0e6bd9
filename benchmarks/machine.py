"""What timings were taken on, how fast it is at best, and how busy it was."""

import contextlib
import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from glocal_exp.store.manifest import environment

PACKAGES = ("jax", "jaxlib", "optax", "equinox", "numpy", "torch", "higher", "torchopt")


def use_cores(number: int) -> None:
    """Keep this process, with JAX and PyTorch, to so many cores; before either is imported."""
    if hasattr(os, "sched_setaffinity"):  # elsewhere both take all
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float:
    """Processes that ran or waited to run, a core, over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def describe() -> dict[str, Any]:
    """Processor, cores, versions and code, as in a run's manifest, and the peers'."""
    facts = environment()
    facts["packages"] = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            facts["packages"][package] = version(package)
    names = ("processor", "platform", "python", "packages", "git", "started")
    return {"cores": cores(), **{name: facts[name] for name in names}}


def matmul_peak(
    clock: Callable[[], float] = time.perf_counter, size: int = 1024, seconds: float = 1.0
) -> float:
    """FLOP/s of float32 products of square matrices, the best of so many seconds of them.

    An addition and a multiplication are two: 2 size^3 to a product.
    """
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (size, size), jnp.float32)
    program = jax.jit(jnp.matmul).lower(a, a).compile()
    best, end = float("inf"), clock() + seconds
    while clock() < end or best == float("inf"):
        start = clock()
        jax.block_until_ready(program(a, a))
        best = min(best, clock() - start)
    return 2 * size**3 / best


class Others:
    """How much of the cores' time other processes take, from its making on."""

    def __init__(self):
        self._start = _busy_seconds()

    def share(self) -> float | None:
        """Of the time of all cores so far; None where the system does not say."""
        now = _busy_seconds()
        if self._start is None or now is None:
            return None
        everyone, mine, passed = (b - a for a, b in zip(self._start, now, strict=True))
        return max(0.0, everyone - mine) / max(passed * (os.cpu_count() or 1), 1e-9)


def _busy_seconds() -> tuple[float, float, float] | None:
    """Seconds that all processes and this one ran, and the time."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:  # not Linux
        return None
    user, nice, system, _, _, irq, soft, steal = (float(value) for value in first[1:9])
    everyone = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
    return everyone, time.process_time(), time.perf_counter()
