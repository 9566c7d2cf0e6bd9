"""TensorFlow Datasets: reads what is prepared without TensorFlow, downloads and prepares with it.

TFDS shuffles when it prepares, so its order differs from that of the original files; the canonical
order of `checksums` makes the splits the same.
"""

import importlib.util
import io
import json
import os
import re
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from glocal_exp.data.checksums import assemble
from glocal_exp.data.files import existing_folder
from glocal_exp.data.source import DatasetSpec, ImageData, Images, Labels, RawImages
from glocal_exp.errors import UserError

INFO = "dataset_info.json"
EXTRA = "the extra tfds (pip install '.[tfds]')"
PACKAGES = ("tensorflow_datasets", "array_record", "importlib_resources")


@dataclass(frozen=True)
class Tfds:
    """A TFDS data directory: `data_dir`, its `tensorflow_datasets`, or TFDS's own default."""

    data_dir: str | None = None
    name: ClassVar[str] = "tfds"

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if it is prepared and can be read here; nothing is downloaded."""
        if spec.tfds is None:
            return f"{spec.title} has no name in TensorFlow Datasets"
        try:
            folder = self.find(spec)
            if folder is None:
                return f"{spec.tfds} is not prepared in {' or '.join(map(str, self.roots()))}"
            announced(folder)
        except UserError as error:  # one that is damaged is none
            return str(error).rstrip(".")
        missing = missing_packages(*PACKAGES)
        return f"reading it needs {missing}, part of {EXTRA}" if missing else None

    def load(self, spec: DatasetSpec) -> ImageData:
        """The data set, downloaded and prepared first if need be; else raises `UserError`."""
        if spec.tfds is None:
            raise UserError(f"{spec.title} is not in TensorFlow Datasets: use source=files.")
        folder = self.find(spec) or prepare(spec.tfds, self.roots()[0])
        return assemble(spec, read(folder), self.name, folder)

    def roots(self) -> list[Path]:
        """Where to look; the first is where to prepare."""
        default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
        default = Path(os.path.expanduser(default))
        if not self.data_dir:
            return [default]
        folder = existing_folder(self.data_dir)
        return [folder, folder / "tensorflow_datasets", default]

    def find(self, spec: DatasetSpec) -> Path | None:
        """The newest version that can be read, else the newest."""
        infos = [i for root in self.roots() for i in (root / str(spec.tfds)).glob(f"*/{INFO}")]
        # not one whose preparation was cut off
        found = [i.parent for i in infos if re.fullmatch(r"\d+\.\d+\.\d+", i.parent.name)]

        def rank(folder: Path) -> tuple[bool, list[int]]:
            return is_readable(folder), [int(number) for number in folder.name.split(".")]

        return max(found, key=rank, default=None)


def announced(folder: Path) -> dict[str, int]:
    """How many images a version has in each part, says its `dataset_info.json`; 0 if it does not.

    Raises `UserError` if it is damaged, or if there is nothing in a format that is read here.
    """
    info = folder / INFO
    try:
        parts = json.loads(info.read_text(encoding="utf-8"))["splits"]
        found = {part["name"]: sum(map(int, part.get("shardLengths", ()))) for part in parts}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{info} is damaged ({type(error).__name__}): delete {folder}, prepare it again."
        ) from error
    if not is_readable(folder):
        raise UserError(
            f"{folder} holds no files in the formats {' or '.join(FORMATS)}: delete it, prepare it"
            " again."
        )
    return found


def is_readable(folder: Path) -> bool:
    """Whether a version holds files in a format that is read here."""
    return any(shards(folder, known) for known in FORMATS)


def shards(folder: Path, known: str, part: str = "*") -> list[Path]:
    """Those of a part in a format, but for what a conversion has left that was cut off."""
    found = sorted(folder.glob(f"*-{part}.{known}-*"))
    return [path for path in found if not path.name.startswith("partial.")]


def missing_packages(*names: str) -> str:
    """Those of `names` that are not installed, for a sentence; "" if none is."""
    return " and ".join(name for name in names if importlib.util.find_spec(name) is None)


def need_packages() -> None:
    """Raise `UserError` if the package `tensorflow_datasets` or what it needs is missing."""
    if missing := missing_packages(*PACKAGES):
        raise UserError(f"source=tfds needs {missing}: install {EXTRA}, or use source=files.")


def prepare(name: str, root: Path) -> Path:
    """Download a data set and write it as ArrayRecord below `root`, whole or not at all."""
    if missing_packages("tensorflow"):
        raise UserError(
            f"{name} is not prepared in {root}, and to download and prepare it TFDS needs"
            f" TensorFlow: install {EXTRA}, or use source=files."
        )
    need_packages()
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = tfds.builder(name, data_dir=root, file_format="array_record")
        refuse_offline(builder.url_infos or (), root)
        root.mkdir(parents=True, exist_ok=True)
        builder.download_and_prepare()
        return Path(builder.data_dir)
    except Exception as error:  # TFDS passes on whatever the network, the disk or a checksum raises
        raise UserError(
            f"TFDS could not download and prepare {name} in {root} ({brief(error)}): check the"
            " network and that the folder can be written, or use source=files."
        ) from error


def brief(error: Exception) -> str:
    """The first line of what an error says, or else its kind."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def refuse_offline(urls: Iterable[str], root: Path) -> None:
    """Raise `OSError` at once where TFDS would try again for minutes, unless there may be a way."""
    if urllib.request.getproxies() or any((root / "downloads").glob("*")):
        return
    for host in {urllib.parse.urlsplit(url).hostname for url in urls}:
        socket.getaddrinfo(host, 443)


def read(folder: Path) -> RawImages:
    """Both parts of a prepared version."""
    need_packages()
    counts = announced(folder)
    try:
        parts = [read_part(folder, part, counts[part]) for part in ("train", "test")]
    except Exception as error:  # a damaged shard surfaces as anything from KeyError to RuntimeError
        raise UserError(
            f"{folder} is incomplete or damaged ({brief(error)}): delete that folder and prepare"
            " it again with source=tfds."
        ) from error
    return RawImages(*parts[0], *parts[1])


def read_part(folder: Path, part: str, count: int) -> tuple[Images, Labels]:
    """All images and labels of a part, of which there are to be `count`."""
    from PIL import Image
    from tensorflow_datasets.proto import tf_example_pb2

    parsed = tf_example_pb2.Example.FromString  # pyright: ignore[reportAttributeAccessIssue]
    images, labels = [], []
    for record in records(folder, part):
        features = parsed(record).features.feature
        with Image.open(io.BytesIO(features["image"].bytes_list.value[0])) as image:
            images.append(np.asarray(image, np.uint8))
        labels.append(features["label"].int64_list.value[0])
    if len(images) != (count or len(images)):
        raise ValueError(f"{part} holds {len(images):,} images, not {count:,} as it says")
    height, width = images[0].shape[:2]
    return np.stack(images).reshape(len(images), height, width, -1), np.array(labels, np.int64)


def records(folder: Path, part: str) -> Iterator[bytes]:
    """Those of a part, of the first format that has as many shards as their names say."""
    found = {known: shards(folder, known, part) for known in FORMATS}

    def lacks(known: str) -> bool:
        names = [path.name for path in found[known]]
        return not names or not names[0].endswith(f"-{len(names):05d}")

    known = min(FORMATS, key=lacks)
    return chain.from_iterable(map(FORMATS[known], found[known]))


def of_array_record(shard: Path) -> Iterable[bytes]:
    """The records of a file, which `array_record` reads."""
    from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]

    with closing(array_record_module.ArrayRecordReader(str(shard))) as reader:
        return reader.read_all()


def of_tfrecord(shard: Path) -> Iterator[bytes]:
    """The records of a file: of each, length and its checksum, content and its checksum."""
    with shard.open("rb") as stream:
        while header := stream.read(12):
            size = int.from_bytes(header[:8], "little")
            record = stream.read(size)
            if len(header) < 12 or len(record) < size or len(stream.read(4)) < 4:
                raise ValueError(f"{shard.name} is truncated")
            yield record


FORMATS = {"array_record": of_array_record, "tfrecord": of_tfrecord}
"""Readers of what TFDS may prepare, by the name in a shard's."""
