"""Checksums, so that stored numbers are those that were written.

Every manifest carries a digest of itself, and the manifest of what is finished one of each of its
files: a changed digit, a missing row or an edited setting is found whenever it is read.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glocal_exp.store import files

SEAL, CHECKSUMS = "seal", "checksums"
MAY_GO = ("weights.npz",)  # large, and read by no figure: whoever passes a run on may leave it out


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with the digest of its own content."""
    content = {name: value for name, value in manifest.items() if name != SEAL}
    text = json.dumps(content, sort_keys=True)
    return content | {SEAL: hashlib.sha256(text.encode()).hexdigest()}


def intact_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a directory; empty if it is not as it was written."""
    manifest = files.read_manifest(directory) or {}
    return manifest if sealed(manifest) == manifest else {}


def checksums(paths: Iterable[Path], directory: Path) -> dict[str, str]:
    """By their names in a directory, SHA-256 of files; "missing" and the like if unreadable."""
    return {path.relative_to(directory).as_posix(): _digest(path) for path in paths}


def damage(directory: Path, manifest: Mapping[str, Any]) -> str | None:
    """What of a run or a study is not as it was written, in words; None if all is."""
    if sealed(manifest) != manifest:
        there = os.path.exists(directory / files.MANIFEST)
        return f"{files.MANIFEST} has been changed" if there else f"{files.MANIFEST} is lost"
    if is_copy(directory, manifest):
        return f"it is a copy of seed={manifest['seed']}"
    changed = changed_files(directory, manifest)
    return f"{', '.join(changed)} changed or lost since the end" if changed else None


def is_copy(directory: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether it has the name of another seed than that which was written into it."""
    seed, name = manifest.get("seed"), directory.name
    return seed is not None and name.startswith("seed=") and name != f"seed={seed}"


def changed_files(directory: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Those of which a manifest has checksums, and they are others now."""
    stated = dict(manifest.get(CHECKSUMS) or {})
    for name in [name for name in MAY_GO if not (directory / name).exists()]:
        stated.pop(name, None)
    found = checksums((directory / name for name in stated), directory)
    return [name for name, digest in stated.items() if found[name] != digest]


def unreadable(directory: Path, manifest: Mapping[str, Any]) -> str:
    """Those of a run's files that this user may not read, in words; empty if there are none."""
    names = (files.MANIFEST, *(manifest.get(CHECKSUMS) or {}))
    paths = {name: directory / name for name in names}
    return ", ".join(n for n, p in paths.items() if p.exists() and not os.access(p, os.R_OK))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return type(error).__name__
