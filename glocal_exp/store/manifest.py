"""Where a run came from: code, packages, Python, command and time."""

import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import glocal_exp

SCHEMA = 1
REPOSITORY = Path(glocal_exp.__file__).parents[1]
CODE = ("glocal_exp", "benchmarks", "configs", "scripts", "pyproject.toml")
PACKAGES = (
    "jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13", "optax", "equinox", "numpy", "scipy", "pandas", "hydra-core", "omegaconf",
    "tensorflow-datasets", "wandb",
)  # fmt: skip
PLACEHOLDERS = {"from": "RUN_DIR"}  # other settings stand for themselves
ABSOLUTE = re.compile(r"(?<![\w.}/])(?:[a-z]+:)?[/~]")
"""The start of an absolute path, or of one in the home folder, anywhere in a setting's value."""


def environment() -> dict[str, Any]:
    """The part of a manifest that the caller need not know: git, packages, Python, command, start.

    Device, data and hashes are the caller's: this module imports neither JAX nor data.
    """
    return {
        "schema": SCHEMA,
        "command": shlex.join(publishable(sys.argv)),
        "git": git_state(REPOSITORY),
        "packages": {name: number for name in PACKAGES if (number := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "surroundings": surroundings(),
        "started": utc_now(),
    }


def processor() -> str:
    """The CPU's name and its cores, as run times need them."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line[:10] == "model name")
    except (OSError, StopIteration):
        pass  # not Linux, or a processor that has no such line
    return f"{name}, {os.cpu_count()} cores"


def surroundings() -> dict[str, Any]:
    """What of the process may change the last digits: cores it may use, and options of JAX."""
    options = {
        name: " ".join(map(_argument, value.split()))
        for name, value in sorted(os.environ.items())
        if name.startswith(("JAX_", "XLA_")) and not name.endswith(("_DIR", "_ADDRESSES"))
    }
    return {"cores": len(usable_cores()), "options": options}


def usable_cores() -> list[int]:
    """The cores that this process may use, by number."""
    known = hasattr(os, "sched_getaffinity")  # not on macOS
    return sorted(os.sched_getaffinity(0)) if known else list(range(os.cpu_count() or 1))


def utc_now() -> str:
    """Now, as ISO 8601 in UTC with whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_state(repository: Path) -> dict[str, Any]:
    """`commit` and whether the code in it is `dirty`; both None outside of a checkout.

    Only code and configs count as dirty, since a sweep writes its results into the same checkout.
    """
    tracked = _git(repository, "ls-files", "--error-unmatch", "glocal_exp/__init__.py")
    commit = _git(repository, "rev-parse", "HEAD") if tracked else None
    changes = _git(repository, "status", "--porcelain", "--", *CODE) if commit else None
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def publishable(arguments: list[str]) -> list[str]:
    """A command line without the folders of the machine that it was typed on.

    Paths inside the repository, the script's too, are as seen from it; of any other absolute one
    there is a placeholder: `output_dir=OUTPUT_DIR`, `from=RUN_DIR`.
    """
    if not arguments:
        return []
    script = Path(arguments[0]).resolve()
    name = str(script.relative_to(REPOSITORY)) if script.is_relative_to(REPOSITORY) else script.name
    is_console = script.stem == "glocal" or name == "glocal_exp/__main__.py"
    start = ["glocal"] if is_console else ["python", name]
    return [*start, *map(_argument, arguments[1:])]


def _git(repository: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(repository), *arguments]
    try:
        output = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return output.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _argument(word: str) -> str:
    key, equals, value = word.partition("=")
    if word.startswith(("/", "~/")):  # of an option before it: --config-dir PATH
        key, equals, value = "", "", word
    if not ABSOLUTE.search(value):
        return word
    path = Path(os.path.normpath(value.strip("'\"")))
    if path.is_relative_to(REPOSITORY):
        inside = str(path.relative_to(REPOSITORY))
        if not ABSOLUTE.search(inside):  # a list of paths holds more than one
            return f"{key}{equals}{inside}"
    name = key.lstrip("+").split(".")[-1] or "path"
    return f"{key}{equals}{PLACEHOLDERS.get(name, name.upper())}"
