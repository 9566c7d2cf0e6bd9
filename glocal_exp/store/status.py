"""What is known about a run from its directory alone."""

import json
from pathlib import Path
from typing import Any, Literal

from glocal_exp.store.lock import holder
from glocal_exp.store.replays import is_replayed

Status = Literal["complete", "missing", "partial", "failed", "stale", "running"]

MANIFEST, METRICS, LOCK = "manifest.json", "metrics.csv", "lock"


def status(
    path: str | Path, config_hash: str | None = None, source_hash: str | None = None
) -> Status:
    """The state of the run directory `path`; a hash that is None is not compared.

    - `running`: a living process holds its lock;
    - `missing`: there is no manifest;
    - `stale`: it was written with another numeric config, or with other numeric source than that
      of which it is known to give the same numbers (`replays`);
    - `complete`: it came to its end;
    - `failed`: it ended with an error, or its manifest is not readable;
    - `partial`: it was interrupted or killed, and goes on from its last checkpoint.
    """
    if holder(Path(path) / LOCK) is not None:
        return "running"
    return stored_status(path, config_hash, source_hash)


def stored_status(
    path: str | Path, config_hash: str | None = None, source_hash: str | None = None
) -> Status:
    """`status` for the process that holds the lock itself: what the directory says."""
    manifest = read_manifest(path)
    if manifest is None:
        return "missing" if not (Path(path) / MANIFEST).exists() else "failed"
    if config_hash is not None and manifest.get("config_hash") != config_hash:
        return "stale"
    if source_hash is not None and not is_replayed(manifest.get("source_hash"), source_hash):
        return "stale"
    match manifest.get("status"):
        case "complete" if (Path(path) / METRICS).exists():
            return "complete"
        case "failed":
            return "failed"
    return "partial"


def read_manifest(path: str | Path) -> dict[str, Any] | None:
    """The manifest of the run directory `path`; None when it is absent or not readable."""
    try:
        manifest = json.loads((Path(path) / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None
