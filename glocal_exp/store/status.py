"""What is known about a run from its directory, and which older sources give its numbers still.

A stored run is stale once the numeric source has changed, even where the change moves no number.
`scripts/replay.py` trains the first intervals of such runs again with the present source; where
they agree, the pair of sources is kept in `results/replays.json`, and the run counts as current.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from glocal_exp.places import RESULTS
from glocal_exp.store import files
from glocal_exp.store.lock import holder
from glocal_exp.store.seal import damage

Status = Literal["complete", "missing", "partial", "failed", "damaged", "stale", "running"]
REPLAYS = RESULTS / "replays.json"


def status(
    path: str | Path, config_hash: str | None = None, source_hash: str | None = None
) -> Status:
    """The state of the run directory `path`; a hash that is None is not compared.

    - `running`: a living process holds its lock;
    - `missing`: there is no manifest, nor metrics that have lost theirs;
    - `stale`: it was written with another numeric config, or with other numeric source than that
      of which it is known to give the same numbers (`is_replayed`);
    - `complete`: it came to its end;
    - `damaged`: something of it is not as it was written, or its manifest is not readable;
    - `failed`: it ended with an error;
    - `partial`: it was interrupted or killed, and goes on from its last checkpoint.
    """
    held = holder(Path(path) / files.LOCK) is not None
    return "running" if held else stored_status(path, config_hash, source_hash)


def stored_status(
    path: str | Path, config_hash: str | None = None, source_hash: str | None = None
) -> Status:
    """`status` for the process that holds the lock itself: what the directory says."""
    manifest = files.read_manifest(path)
    if manifest is None:
        return "damaged" if files.are_in(path) else "missing"
    if damage(Path(path), manifest):
        return "damaged"
    return intact_status(manifest, config_hash, source_hash)


def intact_status(
    manifest: Mapping[str, Any], config_hash: str | None = None, source_hash: str | None = None
) -> Status:
    """`stored_status` of a run that is as it was written."""
    if config_hash is not None and manifest.get("config_hash") != config_hash:
        return "stale"
    if source_hash is not None and not is_replayed(manifest.get("source_hash"), source_hash):
        return "stale"
    state = manifest.get("status")
    return state if state in ("complete", "failed") else "partial"


@cache
def is_replayed(stored: Any, current: str, file: Path = REPLAYS) -> bool:
    """Whether replays lead from the source hash `stored` to `current`, over those in between."""
    later: dict[Any, set[str]] = {}
    for replay in read_replays(file):
        later.setdefault(replay["stored"], set()).add(replay["current"])
    seen, waiting = {stored}, [stored]
    while waiting:
        new = later.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return current in seen


@cache
def read_replays(file: Path = REPLAYS) -> list[dict[str, Any]]:
    """All replays that agreed, oldest first; none where there is no file."""
    return json.loads(file.read_text()) if file.exists() else []


def add_replays(replays: Iterable[Mapping[str, Any]], file: Path = REPLAYS) -> None:
    """Append replays, each with the hashes `stored` and `current` and what it was found by."""
    read_replays.cache_clear()  # another process may have added some meanwhile
    text = json.dumps([*read_replays(file), *replays], indent=1) + "\n"
    files.write_atomically(file, text.encode())
    read_replays.cache_clear()
    is_replayed.cache_clear()
