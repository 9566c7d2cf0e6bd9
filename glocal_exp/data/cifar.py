"""CIFAR's "python version": pickled batches in a folder or in the original archive.

Format: www.cs.toronto.edu/~kriz/cifar.html.
"""

import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from glocal_exp.data import cifar_pickle
from glocal_exp.data.checksums import check, file_check
from glocal_exp.data.files import candidate_folders, read_bytes, unlike
from glocal_exp.data.source import DatasetSpec, FileCheck, RawImages
from glocal_exp.errors import UserError


@dataclass(frozen=True)
class CifarFiles:
    """Pickled batches of images stored channel by channel.

    Attributes:
        batches: name of the folder that the archive unpacks to.
        archive: name of the original archive; it is read without unpacking it to disk.
        folders: names of a folder that holds `batches` or `archive`.
        train, test: files of each part.
        label_key: key of the labels in a batch.
        checksums: published md5 of each file.
    """

    batches: str
    archive: str
    train: Sequence[str]
    test: Sequence[str]
    label_key: str
    folders: Sequence[str] = ()
    checksums: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        return f"folder {self.batches} and no {self.archive}"

    def find(self, data_dir: Path) -> Path | None:
        """The first folder that holds one of the batches, or else the archive."""
        places = candidate_folders(data_dir, [self.batches, *self.folders])
        for place in places:
            for folder in (place / self.batches, place):
                if any((folder / name).is_file() for name in (*self.train, *self.test)):
                    return folder
        archives = (place / self.archive for place in places)
        return next((path for path in archives if path.is_file()), None)

    def read(self, place: Path, spec: DatasetSpec) -> RawImages:
        """All batches; raises `UserError` that names the first file at fault."""
        contents = self.contents(place)
        files = {
            name: file_check(name, content, content, self.checksums)
            for name, content in contents.items()
        }
        parts: list[np.ndarray] = []
        for role, names in (("train", self.train), ("test", self.test)):
            read = [self._batch(place / name, contents[name], role, spec) for name in names]
            parts += [np.concatenate(arrays) for arrays in zip(*read, strict=True)]
        refuse_repetition(place, files)
        return RawImages(*parts, files=files)

    def contents(self, place: Path) -> dict[str, bytes]:
        """The bytes of each file of a folder or archive; raises `UserError` for a missing one."""
        if place.is_file():
            return self._from_archive(place)
        names = (*self.train, *self.test)
        for name in names:
            if not (place / name).is_file():
                raise unlike(place, f"lacks {name}")
        return {name: read_bytes(place / name) for name in names}

    def _from_archive(self, path: Path) -> dict[str, bytes]:
        wanted = {f"{self.batches}/{name}": name for name in (*self.train, *self.test)}
        contents: dict[str, bytes] = {}
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    stream = archive.extractfile(member) if member.isreg() else None
                    if stream is not None and member.name in wanted:
                        contents[wanted[member.name]] = stream.read()
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise unlike(path, f"is truncated or damaged ({error})") from error
        for name in wanted.values():
            if name not in contents:
                raise unlike(path, f"lacks {self.batches}/{name}")
        return contents

    def _batch(
        self, path: Path, content: bytes, role: str, spec: DatasetSpec
    ) -> tuple[UInt8[np.ndarray, "n h w c"], Int64[np.ndarray, " n"]]:
        batch = unpickled(path, content)
        for key in ("data", self.label_key):
            if key not in batch:
                found = ", ".join(sorted(map(repr, batch))) or "nothing"
                trouble = f"holds no {key!r} (only {found}), so it is no batch of {spec.title}"
                raise unlike(path, trouble)
        title = batch.get("batch_label", b"")
        if isinstance(title, bytes) and title and not title.startswith(role.encode()):
            raise UserError(
                f"{path} calls itself {title.decode('latin1')!r} but has the name of a {role}"
                " batch: give each file its own name again."
            )
        images = as_images(path, batch["data"], spec)
        labels = as_labels(path, batch[self.label_key])
        check(spec, images, labels, str(path))
        return images, labels


def unpickled(path: Path, content: bytes) -> dict[str, Any]:
    """The batch in a file; raises `UserError` if it is damaged or holds what no batch holds."""
    try:
        return cifar_pickle.load(content)
    except cifar_pickle.Refused as error:
        trouble = f"was refused and nothing in it was executed, since {error}"
        raise unlike(path, f"{trouble}, which no CIFAR file does") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        trouble = f"is truncated or damaged ({type(error).__name__}: {error})"
        raise unlike(path, trouble) from error


def as_images(path: Path, data: Any, spec: DatasetSpec) -> UInt8[np.ndarray, "n h w c"]:
    """Rows of red, green and blue planes as images."""
    height, width, channels = spec.image_shape
    pixels = height * width * channels
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (pixels,):
        raise unlike(path, f"holds as 'data' no array of rows of {pixels:,} bytes")
    return data.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)


def as_labels(path: Path, labels: Any) -> Int64[np.ndarray, " n"]:
    """A list or array of labels as integers."""
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        return np.asarray(labels, dtype=np.int64)
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        return labels.astype(np.int64)
    raise unlike(path, "holds labels that are no list of integers")


def refuse_repetition(place: Path, files: Mapping[str, FileCheck]) -> None:
    """Raise `UserError` if two batches are one and the same."""
    seen: dict[str, str] = {}
    for name, checked in files.items():
        if checked.md5 in seen:
            raise unlike(place, f"holds the same batch as {seen[checked.md5]} and as {name}")
        seen[checked.md5] = name
