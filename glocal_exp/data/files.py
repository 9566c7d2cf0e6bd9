"""The original files of a data set, below a folder of the user's."""

import bz2
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from glocal_exp.data.checksums import assemble
from glocal_exp.data.source import DatasetSpec, ImageData
from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Files:
    """Original files (IDX, CIFAR batches) in `data_dir` or in its folder for the data set."""

    data_dir: str | None = None
    name: ClassVar[str] = "files"

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if at least one file is there; raises `UserError` if `data_dir` is no folder."""
        found = self._find(spec)
        return found if isinstance(found, str) else None

    def load(self, spec: DatasetSpec) -> ImageData:
        """All images; raises `UserError` for what is missing, damaged or mislabelled."""
        place = self._find(spec)
        if isinstance(place, str) or spec.format is None:
            raise UserError(
                f"{spec.title}: {place}; put its original files into a folder and set data_dir=PATH"
                " or the environment variable GLOCAL_DATA_DIR."
            )
        return assemble(spec, spec.format.read(place, spec), self.name, place)

    def _find(self, spec: DatasetSpec) -> Path | str:
        """Where the files lie, or a clause that says why they do not."""
        if not self.data_dir:
            return "neither data_dir nor GLOCAL_DATA_DIR is set"
        if spec.format is None:
            return f"{spec.title} has no file format"
        folder = existing_folder(self.data_dir)
        try:
            place = spec.format.find(folder)
        except OSError as error:  # a folder in it is closed to this user
            raise unreadable(error.filename, error) from error
        return place or f"{self.data_dir} holds no {spec.format.describe()}"


def existing_folder(data_dir: str) -> Path:
    """`data_dir` as a path; raises `UserError` if it is not a readable folder."""
    folder = Path(os.path.expanduser(data_dir))
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(
            f"data_dir={data_dir} cannot be read ({error.strerror}): set it, or GLOCAL_DATA_DIR, to"
            " the folder that holds the data sets."
        ) from error
    return folder


def unreadable(path: str | Path, error: OSError) -> UserError:
    """What to raise for a file or a folder in it that cannot be read."""
    return UserError(f"{path} cannot be read ({error.strerror}): check it and its permissions.")


def candidate_folders(data_dir: Path, names: Iterable[str], inner: str) -> list[Path]:
    """Folders of `data_dir` named like one of `names`, then itself; before each its `inner` one.

    Case and punctuation of names do not matter.
    """

    def simplified(name: str) -> str:
        return re.sub(r"[^a-z0-9]", "", name.lower())

    wanted = set(map(simplified, names))
    named = [path for path in sorted(data_dir.iterdir()) if simplified(path.name) in wanted]
    folders = [place for folder in (*named, data_dir) for place in (folder / inner, folder)]
    return [folder for folder in folders if folder.is_dir()]


LARGEST = 2**28
"""Bytes that are read of a file, and unpacked from it, at most: the largest, CIFAR-100's archive,
holds 187 MB."""
OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
"""By the first bytes of a compressed file."""


def unlike(path: Path, trouble: str) -> UserError:
    """What to raise for a file that is not the original; `trouble` may quote lines of a library."""
    return UserError(f"{path} {' '.join(trouble.split())}: put the original file there.")


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises `UserError` if it cannot be read, or is too long to be one."""
    try:
        if path.stat().st_size > LARGEST:
            raise unlike(path, "is larger than any file of a data set")
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def uncompressed(path: Path, stored: bytes) -> bytes:
    """What a file holds, by its first bytes, not by its name; browsers unpack without renaming."""
    opener = next((o for magic, o in OPENERS.items() if stored.startswith(magic)), None)
    if opener is None:
        return stored
    try:
        with opener(io.BytesIO(stored), "rb") as stream:
            content = stream.read(LARGEST + 1)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise unlike(path, f"is truncated or damaged ({error})") from error
    if len(content) > LARGEST:
        raise unlike(path, "unpacks to more than any file of a data set")
    return content
