"""The IDX files of MNIST and its kin: a big-endian header, then bytes.

Format: yann.lecun.com/exdb/mnist.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from glocal_exp.data.checksums import check, file_check
from glocal_exp.data.files import LARGEST, candidate_folders, read_bytes, uncompressed, unlike
from glocal_exp.data.source import DatasetSpec, FileCheck, RawImages
from glocal_exp.errors import UserError

KINDS = {1: "labels", 3: "images"}


@dataclass(frozen=True)
class IdxFiles:
    """Four IDX files, gzipped or not, also in torchvision's folder `raw`."""

    # names of the folder that holds them; case, `-` and `_` do not matter
    folders: Sequence[str] = ()
    # train_images, train_labels, test_images, test_labels: file names without `.gz`
    train_images: str = "train-images-idx3-ubyte"
    train_labels: str = "train-labels-idx1-ubyte"
    test_images: str = "t10k-images-idx3-ubyte"
    test_labels: str = "t10k-labels-idx1-ubyte"
    # published md5 of each file: compressed (name with `.gz`) or uncompressed
    checksums: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        names = " or ".join(self.folders)
        return f"{self.train_images}.gz and its kin, nor a folder {names} of them"

    def find(self, data_dir: Path) -> Path | None:
        """The first folder that holds one of the four files."""
        names = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        places = candidate_folders(data_dir, self.folders, "raw")
        return next((place for place in places if any(locate(place, n) for n in names)), None)

    def read(self, place: Path, spec: DatasetSpec) -> RawImages:
        """All four files; raises `UserError` that names the first one at fault."""
        files: dict[str, FileCheck] = {}
        parts: list[np.ndarray] = []
        train, test = (self.train_images, self.train_labels), (self.test_images, self.test_labels)
        for images, labels in (train, test):
            path, planes = self._array(place, images, 3, files)
            other, numbers = self._array(place, labels, 1, files)
            check(spec, pixels := planes[..., np.newaxis], numbers, f"{path} and {other.name}")
            parts += [pixels, numbers]
        return RawImages(*parts, files=files)

    def _array(
        self, place: Path, name: str, dimensions: int, files: dict[str, FileCheck]
    ) -> tuple[Path, UInt8[np.ndarray, "..."]]:
        troubles = []
        for path in locate(place, name):  # the first that is whole
            try:
                stored = read_bytes(path)
                content = uncompressed(path, stored)
                array = parse(path, content, dimensions)
            except UserError as error:
                troubles.append(error)
                continue
            files[path.name] = file_check(path.name, content, stored, self.checksums)
            return path, array
        raise troubles[0] if troubles else unlike(place, f"lacks {name}.gz")


def locate(folder: Path, name: str) -> list[Path]:
    """The file in `folder`, gzipped or not; `.idx3-ubyte`, `.idx` and `-idx3-ubyte.idx` will do."""
    stem, _, rest = name.rpartition("-idx")
    variants = (name, f"{stem}.idx{rest}", f"{name}.idx", f"{stem}.idx")
    # The published checksums are those of the compressed files, so they come first.
    paths = [folder / f"{variant}{ending}" for variant in variants for ending in (".gz", "")]
    return [path for path in paths if path.is_file()]


def parse(path: Path, content: bytes, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """The array of an IDX file of unsigned bytes; raises `UserError` unless it fits its header."""
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise unlike(path, f"is no IDX file of bytes (it starts with 0x{content[:4].hex()})")
    found = content[3]
    if found != dimensions:
        kind = KINDS.get(found, f"an array of {found} dimensions")
        raise unlike(path, f"holds {kind}, not {KINDS[dimensions]}")
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise unlike(path, "ends inside its header")
    shape = tuple(np.frombuffer(content, ">u4", dimensions, 4).tolist())
    if max(shape) > LARGEST:  # beside a 0, which makes nothing of it
        raise unlike(path, f"is truncated (an array of {' x '.join(map(str, shape))} is announced)")
    expected = header + math.prod(shape)
    if len(content) != expected:
        trouble = "is truncated" if len(content) < expected else "is longer than its header says"
        raise unlike(path, f"{trouble} ({len(content):,} bytes where {expected:,} are announced)")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
