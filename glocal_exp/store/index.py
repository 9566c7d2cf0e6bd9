"""What lists of many runs need of each, kept beside them; what has changed since is read again.

That is manifest, config and `ends`, of complete runs alone, whose files have been found to be those
that were written: as long as size and times of all of them stay, they are not read again. The index
may be deleted at any time.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from glocal_exp.errors import UserError
from glocal_exp.store import files
from glocal_exp.store.seal import CHECKSUMS

if TYPE_CHECKING:
    from glocal_exp.store.load import StoredRun

INDEX = ".index.json"
LEAST = 500  # runs from which on there is an index: fewer are listed in a few seconds without
SHARING = {"manifest", "config"}
Entry = Mapping[str, Any]
LATEST = 5  # evaluations at the end whose mean is told beside the last: no choice of the best
KEPT_APART = ("hypergradient/", "diagnostic/")
COUNTS = (
    "seed", "outer_step", "step", "skipped", "diverged", "plain_steps", "tangent_steps",
    "reverse_steps", "validation_gradients", "seconds", "compile_seconds", "evaluation_seconds",
)  # fmt: skip


def read_index(root: Path) -> dict[str, Entry]:
    """By the path below `root` of a run: its stamp, manifest and, where known, config and ends.

    Runs have most values in common, each of which is in the file and in memory only once.
    """
    try:
        found = json.loads((root / INDEX).read_text())
        values, runs = found["values"], found["runs"]
        return {
            path: entry | {part: _filled(entry[part], values) for part in SHARING & entry.keys()}
            for path, entry in runs.items()
        }
    except (OSError, ValueError, RecursionError, TypeError, LookupError, AttributeError):
        return {}


def _filled(places: Mapping[str, int], values: list[Any]) -> dict[str, Any]:
    return {name: values[place] for name, place in places.items()}


def _shared(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """What `read_index` reads: values by their place in a list of all there are."""
    places: dict[str, int] = {}

    def placed(part: Mapping[str, Any]) -> dict[str, int]:
        texts = {name: json.dumps(value) for name, value in part.items()}
        return {name: places.setdefault(text, len(places)) for name, text in texts.items()}

    runs = {
        path: {**entry, **{part: placed(entry[part]) for part in SHARING & entry.keys()}}
        for path, entry in entries.items()
    }
    return {"values": list(map(json.loads, places)), "runs": runs}


def stamp(directory: Path, manifest: Mapping[str, Any]) -> list[Any]:
    """Sizes and times of the files that a manifest states, which no change leaves as they are."""
    found: list[Any] = []
    for name in (files.MANIFEST, *sorted(manifest.get(CHECKSUMS) or {})):
        try:
            stat = os.stat(directory / name)
            found.append([name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns])
        except OSError:
            found.append([name, None])
    return found


def write_index(root: Path, runs: Iterable["StoredRun"]) -> None:
    """Keep what has been read of complete runs, where they are many and the folder allows it."""
    entries = {
        run.path.relative_to(root).as_posix(): entry
        for run in runs
        if (entry := run.entry) and entry != run.known
    }
    if entries and len(known := read_index(root) | entries) >= LEAST:
        with contextlib.suppress(UserError):
            files.write_atomically(root / INDEX, json.dumps(_shared(known)).encode())


def ends(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """`final` and `latest` of every metric and hyperparameter, steps done, seconds, `diverged`.

    Args:
        rows: metrics.csv, as text without its empty cells.
    """
    names = dict.fromkeys(name for row in rows for name in row if name not in COUNTS)
    kept = [name for name in names if not name.startswith(KEPT_APART)]
    last = {name: values for name in kept if (values := _last(rows, name))}
    return {
        "final": {name: values[0] for name, values in last.items()},
        "latest": {name: fmean(values) for name, values in last.items()},
        "step": int(rows[-1]["step"]) if rows else 0,
        "seconds": sum(float(row.get("seconds", 0)) for row in rows),
        "diverged": any(row.get("diverged") == "True" for row in rows),
    }


def _last(rows: Sequence[Mapping[str, str]], name: str) -> list[float]:
    """The last values that were measured, the latest first; before training only if no others."""
    measured = [row for row in reversed(rows) if isfinite(float(row.get(name, "nan")))]
    trained = [row for row in measured if row.get("outer_step") != "0"]
    return [float(row[name]) for row in (trained or measured)[:LATEST]]
