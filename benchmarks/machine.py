"""What timings were taken on, and how busy it was."""

import os
import time
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np

from glocal_exp.store.manifest import environment, usable_cores

FACTS = ("processor", "platform", "python", "packages", "git", "started")
PACKAGES = ("jax", "jaxlib", "optax", "equinox", "numpy", "torch", "higher", "torchopt")


def use_cores(number: int) -> None:
    """Keep this process, with JAX and PyTorch, to so many cores; before either is imported."""
    if hasattr(os, "sched_setaffinity"):  # elsewhere both take all
        os.sched_setaffinity(0, usable_cores()[:number])


def describe() -> dict[str, Any]:
    """Processor, cores, versions and code, as in a run's manifest, and the peers'."""
    found, installed = environment(), {d.name: d.version for d in distributions()}
    found["packages"] = {name: installed[name] for name in PACKAGES if name in installed}
    return {"cores": len(usable_cores()), **{name: found[name] for name in FACTS}}


def busy() -> np.ndarray | None:
    """Seconds that all processes and this one have run, and the time; None if it is not Linux."""
    if not (stat := Path("/proc/stat")).exists():
        return None
    user, nice, system, _, _, *others = map(float, stat.read_text().split()[1:9])
    everyone = (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
    return np.array([everyone, time.process_time(), time.perf_counter()])


def others(before: np.ndarray | None) -> float | None:
    """Share of the time of all cores that other processes have taken since `busy` said this."""
    if before is None:
        return None
    everyone, mine, passed = busy() - before
    return float(max(0.0, everyone - mine) / (passed * (os.cpu_count() or 1)))
