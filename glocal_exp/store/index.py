"""What lists of many runs need of each, kept beside them; what has changed since is read again.

Of complete runs alone, whose files have been found to be those that were written: as long as size
and times of all of them stay, they are not read again. The index may be deleted at any time.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glocal_exp.errors import UserError
from glocal_exp.store import files
from glocal_exp.store.seal import CHECKSUMS

if TYPE_CHECKING:
    from glocal_exp.store.load import StoredRun

INDEX = ".index.json"
LEAST = 500
"""Runs from which on there is an index: fewer are listed in a few seconds without."""
Entry = Mapping[str, Any]


def read_index(root: Path) -> dict[str, Entry]:
    """By the path below `root` of a run: its stamp, manifest and, where known, config and ends."""
    try:
        found = json.loads((root / INDEX).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
        run.path.relative_to(root).as_posix(): run.entry for run in runs if run.entry != run.known
    }
    entries = {name: entry for name, entry in entries.items() if entry}
    if entries and len(known := read_index(root) | entries) >= LEAST:
        with contextlib.suppress(UserError):
            files.write_atomically(root / INDEX, json.dumps(known).encode())
