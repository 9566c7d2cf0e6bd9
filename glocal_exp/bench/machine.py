"""What timings were taken on, and how busy it was."""

import os
from importlib.metadata import version
from typing import Any

from glocal_exp.store.manifest import environment

LOADED = 0.5
"""Processes a core, over the last minute, from which on timings are called doubtful."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float:
    """Processes that ran or waited to run, a core, over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def describe() -> dict[str, Any]:
    """Processor, cores, versions and code, as in a run's manifest, and PyTorch."""
    facts = environment()
    facts["packages"] = {
        name: version(name) for name in ("jax", "jaxlib", "optax", "equinox", "numpy", "torch")
    }
    names = ("processor", "platform", "python", "packages", "git", "started")
    return {"cores": cores(), **{name: facts[name] for name in names}}
