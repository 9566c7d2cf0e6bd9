"""A directory that one process writes at a time: its lock, its manifest and its config."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from glocal_exp.store.files import (
    cannot_write,
    make_directory,
    remove_temporaries,
    write_atomically,
)
from glocal_exp.store.lock import RunLock
from glocal_exp.store.status import LOCK, MANIFEST, read_manifest

CONFIG = "config.yaml"


class LockedDirectory:
    """A context manager that holds the lock of a directory, which is created if need be.

    Every file is replaced as a whole, so that a kill at any moment leaves the old or the new one.

    Raises:
        UserError: another process holds the directory, or it cannot be written.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        make_directory(self.path)
        self._lock = RunLock(self.path / LOCK)
        self._lock.acquire()
        try:
            remove_temporaries(self.path)
            self._manifest = read_manifest(self.path) or {}
            self._open()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise cannot_write(self.path, error) from error
            raise

    def _open(self) -> None:
        """Read or write whatever else there is; the lock is let go if this fails."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()  # the status stays as last written

    @property
    def manifest(self) -> dict[str, Any]:
        """A copy of the manifest as last written."""
        return dict(self._manifest)

    def update_manifest(self, **fields: Any) -> None:
        """Set or replace fields of manifest.json; NumPy scalars and arrays become numbers."""
        text = json.dumps(self._manifest | fields, indent=2, default=_to_json) + "\n"
        write_atomically(self.path / MANIFEST, text.encode())
        self._manifest = json.loads(text)

    def write_config(self, text: str) -> None:
        """The resolved config, as YAML."""
        write_atomically(self.path / CONFIG, text.encode())


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
