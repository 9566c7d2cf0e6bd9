"""One writer a directory: a lock that the operating system drops when its holder dies."""

import contextlib
import fcntl
import json
import os
import time
from operator import methodcaller
from pathlib import Path
from typing import Any, Self

from glocal_exp.errors import BusyError, UserError
from glocal_exp.store import files
from glocal_exp.store.seal import intact_manifest, sealed

ATTEMPTS = 5
PAUSE_SECONDS = 0.05


class LockedDirectory:
    """A context manager that holds the lock of a directory, which is created if need be.

    Every file is replaced as a whole, so that a kill at any moment leaves the old or the new one.
    That another process holds the directory, or that it cannot be written, is a `UserError`.

    Attributes:
        manifest: as last written.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = RunLock(self.path / files.LOCK)
        try:
            files.make_directory(self.path)
            self._refuse_others()
            self._lock.acquire()
            files.remove_temporaries(self.path)
            self.manifest: dict[str, Any] = intact_manifest(self.path)
            self._open()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise files.cannot_write(self.path, error) from error
            raise

    def _refuse_others(self) -> None:
        """Raise a `UserError` if this is no directory of the program: nothing in it is touched."""
        knows = self._knows if self._is_ours() else self._begins_with
        strange = sorted(entry.name for entry in self.path.iterdir() if not knows(entry))
        if strange := [name for name in strange if os.path.lexists(self.path / name)]:
            raise UserError(
                f"{self.path} holds {', '.join(strange[:3])}, which this program did not write; "
                f"move that away, or {files.ELSEWHERE}."
            )

    def _is_ours(self) -> bool:
        """Whether there is a manifest, as from the first file to the last, or one has been lost."""
        is_left = (self.path / files.CONFIG).exists() and files.are_in(self.path)
        return is_left or (self.path / files.MANIFEST).is_file()

    def _begins_with(self, entry: Path) -> bool:
        """Whether a file may be there before the manifest is."""
        if entry.name == files.LOCK and entry.is_file() and not entry.is_symlink():
            return (_read_pid(entry) or "0").isdigit()
        return bool(files.TEMPORARY.fullmatch(entry.name))

    def _knows(self, entry: Path) -> bool:
        """Whether a file of the directory is one that the program writes."""
        return entry.name in (files.MANIFEST, files.CONFIG) or self._begins_with(entry)

    def _open(self) -> None:
        """Read or write whatever else there is; the lock is let go if this fails."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()  # the status stays as last written

    def update_manifest(self, **fields: Any) -> None:
        """Set or replace fields of manifest.json; NumPy scalars and arrays become numbers."""
        plain = json.loads(json.dumps(self.manifest | fields, default=methodcaller("tolist")))
        self.manifest = sealed(plain)
        text = json.dumps(self.manifest, indent=2) + "\n"
        files.write_atomically(self.path / files.MANIFEST, text.encode())

    def write_config(self, text: str) -> None:
        """The resolved config, as YAML."""
        files.write_atomically(self.path / files.CONFIG, text.encode())


class RunLock:
    """An exclusive lock on a file that names its holder.

    The file is removed on release and left by a killed process; only the lock counts, not the
    file. Every attempt is repeated for a moment, since asking `holder` takes the lock briefly.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise a BusyError that names the process which has it."""
        try:
            for attempt in range(ATTEMPTS):
                if attempt:
                    time.sleep(PAUSE_SECONDS)
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
                if _flock(descriptor, fcntl.LOCK_EX) and _is_file(descriptor, self.path):
                    self._descriptor = descriptor
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return
                os.close(descriptor)
        except OSError as error:
            self.release()  # a full disk: nothing is to be left behind
            raise files.cannot_write(self.path, error) from error
        process = _read_pid(self.path) or "unknown"
        raise BusyError(
            f"run {self.path.parent} is being written by process {process}; "
            "wait for it or stop it, or choose another seed or output_dir"
        )

    def release(self) -> None:
        """Remove the file while it is still locked, then let go; nothing happens if not held."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None


def holder(path: str | Path) -> str | None:
    """The process that holds the lock at `path`, or None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _flock(descriptor, fcntl.LOCK_SH) else _read_pid(Path(path)) or "unknown"
    except OSError:  # of a file system without locks, where nobody can hold one
        return None
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter of some network file systems
        return False
    return True


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether `path` is still the locked file: its last holder may just have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _read_pid(path: Path) -> str:
    """What a lock's file says; for a moment it is empty, or just removed."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
