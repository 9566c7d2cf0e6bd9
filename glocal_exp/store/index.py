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
SHARING = {"manifest", "config"}
Entry = Mapping[str, Any]


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
        run.path.relative_to(root).as_posix(): run.entry for run in runs if run.entry != run.known
    }
    entries = {name: entry for name, entry in entries.items() if entry}
    if entries and len(known := read_index(root) | entries) >= LEAST:
        with contextlib.suppress(UserError):
            files.write_atomically(root / INDEX, json.dumps(_shared(known)).encode())
