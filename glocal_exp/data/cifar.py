"""CIFAR's "python version": pickled batches in a folder or in the original archive.

Format: www.cs.toronto.edu/~kriz/cifar.html.
"""

import io
import posixpath
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glocal_exp.data import cifar_pickle
from glocal_exp.data.checksums import check, file_check
from glocal_exp.data.files import candidate_folders, read_bytes, uncompressed, unlike
from glocal_exp.data.source import DatasetSpec, Images, Labels, RawImages
from glocal_exp.errors import UserError


@dataclass(frozen=True)
class CifarFiles:
    """Pickled batches of images stored channel by channel."""

    batches: str  # name of the folder that the archive unpacks to
    archive: str  # name of the original archive; it is read without unpacking it to disk
    # train, test: files of each part
    train: Sequence[str]
    test: Sequence[str]
    label_key: str  # key of the labels in a batch
    folders: Sequence[str] = ()  # names of a folder that holds `batches` or `archive`
    checksums: Mapping[str, str] = field(default_factory=dict)  # published md5 of each file

    def describe(self) -> str:
        return f"folder {self.batches} and no {self.archive}"

    def find(self, data_dir: Path) -> Path | None:
        """The first folder that holds all batches, else the archive, else one that holds some."""
        places = candidate_folders(data_dir, [self.batches, *self.folders], self.batches)
        held = {p: [(p / name).is_file() for name in (*self.train, *self.test)] for p in places}
        whole = [place for place, there in held.items() if all(there)]
        archives = [archive for place in places for archive in self._archives(place)]
        some = [place for place, there in held.items() if any(there)]
        return next(iter([*whole, *archives, *some]), None)

    def read(self, place: Path, spec: DatasetSpec) -> RawImages:
        """All batches, of what is whole; raises `UserError` that names the first file at fault."""
        troubles = []
        for one in dict.fromkeys([place, *self._archives(place), *self._archives(place.parent)]):
            try:
                return self._read(one, spec)
            except UserError as error:
                troubles.append(error)
        raise troubles[0]

    def _archives(self, folder: Path) -> list[Path]:
        """The original archive in a folder, as it is and unpacked by a browser."""
        paths = (folder / self.archive, folder / self.archive.removesuffix(".gz"))
        return [path for path in paths if path.is_file()]

    def _read(self, place: Path, spec: DatasetSpec) -> RawImages:
        contents = self.contents(place)
        files = {name: file_check(name, c, c, self.checksums) for name, c in contents.items()}
        parts: list[np.ndarray] = []
        for role, names in (("train", self.train), ("test", self.test)):
            read = [self._batch(place / name, contents[name], role, spec) for name in names]
            parts += [np.concatenate(arrays) for arrays in zip(*read, strict=True)]
        seen: dict[str, str] = {}
        for name, checked in files.items():
            if (first := seen.setdefault(checked.md5, name)) != name:
                raise unlike(place, f"holds the same batch as {first} and as {name}")
        return RawImages(*parts, files=files)

    def contents(self, place: Path) -> dict[str, bytes]:
        """The bytes of each file of a folder or archive; raises `UserError` for a missing one."""
        inside = f"{self.batches}/" if place.is_file() else ""
        names = {f"{inside}{name}": name for name in (*self.train, *self.test)}
        if inside:
            contents = unpacked(place, names)
        else:
            contents = {n: read_bytes(place / n) for n in names if (place / n).is_file()}
        for name in names:
            if name not in contents:
                raise unlike(place, f"lacks {name}")
        return {names[name]: content for name, content in contents.items()}

    def _batch(
        self, path: Path, content: bytes, role: str, spec: DatasetSpec
    ) -> tuple[Images, Labels]:
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
        rows, labels = batch["data"], batch[self.label_key]
        height, width, channels = spec.image_shape
        size = height * width * channels
        if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.shape[1:] != (size,):
            raise unlike(path, f"holds as 'data' no array of rows of {size:,} bytes")
        images = rows.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        if isinstance(labels, list) and all(type(n) is int and abs(n) < 2**31 for n in labels):
            labels = np.array(labels, np.int64)
        if not isinstance(labels, np.ndarray) or labels.ndim != 1:
            raise unlike(path, "holds labels that are no list of integers of 32 bits")
        check(spec, images, labels, str(path))
        return images, labels


def unpacked(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Those of `names` that are files in a tar archive; links are not followed."""
    content, found = uncompressed(path, read_bytes(path)), {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                name = posixpath.normpath(member.name)
                if name in names and member.isreg() and not member.issparse():
                    stream = archive.extractfile(member)
                    found[name] = stream.read() if stream else b""
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:  # of odd headers
        raise unlike(path, f"is truncated or damaged ({error})") from error
    return found


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
