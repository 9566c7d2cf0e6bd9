"""What a test has changed in a stored run or study, as if it had been written so."""

import json
from pathlib import Path
from typing import Any

from glocal_exp.store.seal import CHECKSUMS, checksums, sealed

LEFT_OUT = ("manifest.json", "lock")


def reseal(path: Path, **fields: Any) -> Path:
    """Change fields of a manifest, and renew its checksums."""
    file = path / "manifest.json"
    manifest = (json.loads(file.read_text()) if file.exists() else {}) | fields
    stored = [f for f in (*path.glob("*.*"), *path.glob("units/*")) if f.name not in LEFT_OUT]
    manifest[CHECKSUMS] = checksums(stored, path)
    file.write_text(json.dumps(sealed(manifest)))
    return path
