"""Writing files so that a reader finds the old content or the new, whatever happens between."""

import contextlib
import errno
import os
from pathlib import Path

from glocal_exp.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
TEMPORARY = ".*.tmp"


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace `path` by `content`: written beside it, synced to disk, then renamed.

    Raises:
        UserError: the disk is full or the directory cannot be written; `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_directory(path: str | Path) -> None:
    """Create `path` and its parents; a UserError names what stands in the way."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(Path(path), error) from error


def remove_temporaries(directory: Path) -> None:
    """Remove what a killed process left behind; only the holder of the run's lock may call it."""
    for leftover in directory.rglob(TEMPORARY):
        leftover.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence for a failed write: what is wrong, and what to do about it."""
    if error.errno in FULL:
        return UserError(
            f"cannot write {path}: the disk is full or over its quota; free some space and give "
            "the same command again, it goes on from the last checkpoint"
        )
    if error.errno in DENIED:
        return UserError(
            f"cannot write {path}: {os.strerror(error.errno or 0).lower()}; "
            "choose another output_dir or change the directory's permissions"
        )
    if error.errno in IN_THE_WAY:
        return UserError(
            f"cannot write {path}: a file is where a directory should be, or the other way round; "
            "move it away or choose another output_dir"
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UserError(f"cannot write {path}: {reason}; choose another output_dir or repair the disk")


def cannot_read(path: Path, error: Exception | str) -> UserError:
    """The sentence for a damaged file of a run or a study."""
    return UserError(f"cannot read {path} ({error}); delete its run directory and run it again")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
