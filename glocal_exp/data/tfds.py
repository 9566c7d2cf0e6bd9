"""TensorFlow Datasets: reads ArrayRecord without TensorFlow, downloads and prepares with it.

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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from glocal_exp.data.checksums import assemble
from glocal_exp.data.files import existing_folder
from glocal_exp.data.source import DatasetSpec, ImageData, Images, Labels, RawImages
from glocal_exp.errors import UserError

ARRAY_RECORD, INFO = "array_record", "dataset_info.json"
EXTRA = "the extra tfds (pip install '.[tfds]')"
READERS = ("tensorflow_datasets", "array_record", "importlib_resources")
CHUNK = 1_000


@dataclass(frozen=True)
class Tfds:
    """A TFDS data directory: `data_dir`, its `tensorflow_datasets`, or TFDS's own default."""

    data_dir: str | None = None
    name: ClassVar[str] = "tfds"

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if it is prepared in a form that can be read here; nothing is downloaded."""
        if spec.tfds is None:
            return f"{spec.title} has no name in TensorFlow Datasets"
        try:
            folder = self.find(spec)
            if folder is None:
                return f"{spec.tfds} is not prepared in {' or '.join(map(str, self.roots()))}"
            if trouble := only_tensorflow(folder):
                return trouble
        except UserError as error:  # one that is damaged is none
            return str(error).rstrip(".")
        missing = missing_packages(*READERS)
        return f"reading it needs {missing}, part of {EXTRA}" if missing else None

    def load(self, spec: DatasetSpec) -> ImageData:
        """The data set, downloaded and prepared first if need be; else raises `UserError`."""
        if spec.tfds is None:
            raise UserError(f"{spec.title} is not in TensorFlow Datasets: use source=files.")
        folder = self.find(spec) or prepare(spec.tfds, self.roots()[0])
        if trouble := only_tensorflow(folder):
            raise UserError(f"{trouble}.")
        return assemble(spec, read(folder), self.name, folder)

    def roots(self) -> list[Path]:
        """Where to look; the first is where to prepare."""
        default = Path(os.path.expanduser(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")))
        if self.data_dir is None:
            return [default]
        folder = existing_folder(self.data_dir)
        return [folder, folder / "tensorflow_datasets", default]

    def find(self, spec: DatasetSpec) -> Path | None:
        """The newest version that can be read, else the newest in another format."""
        infos = [i for root in self.roots() for i in (root / str(spec.tfds)).glob(f"*/{INFO}")]
        found = [info.parent for info in infos if version(info.parent)]
        found.sort(key=lambda folder: (ARRAY_RECORD in file_formats(folder), version(folder)))
        return found[-1] if found else None


def only_tensorflow(folder: Path) -> str:
    """Why a version without ArrayRecord is not read, and what to do about it, if it is one."""
    formats = file_formats(folder)
    if ARRAY_RECORD in formats:
        return ""
    return (
        f"{folder} is prepared as {formats[0]}, which only TensorFlow reads: add ArrayRecord files"
        f" to it with `python scripts/convert_tfds.py {folder}`"
    )


def file_formats(folder: Path) -> list[str]:
    """What a version is prepared as, says its `dataset_info.json`; `UserError` if it is damaged.

    Older versions of TFDS knew TFRecord alone, and did not say it.
    """
    info = folder / INFO
    try:
        content = json.loads(info.read_text())
        formats = (
            content.get("fileFormat", "tfrecord"),
            *content.get("alternativeFileFormats", ()),
        )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(
            f"{info} is damaged ({type(error).__name__}): delete {folder}, prepare it again."
        ) from error
    return [str(name).lower() for name in formats]


def version(folder: Path) -> tuple[int, ...]:
    """The numbers of a folder named like 3.0.1; none of one whose preparation was cut off."""
    named = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", folder.name)
    return tuple(map(int, named.groups())) if named else ()


def missing_packages(*names: str) -> str:
    """Those of `names` that are not installed, for a sentence; "" if none is."""
    return " and ".join(name for name in names if importlib.util.find_spec(name) is None)


def imported() -> Any:
    """The package `tensorflow_datasets`; raises `UserError` if it or what it needs is missing."""
    missing = missing_packages(*READERS)
    if missing:
        raise UserError(f"source=tfds needs {missing}: install {EXTRA}, or use source=files.")
    import tensorflow_datasets

    return tensorflow_datasets


def prepare(name: str, root: Path) -> Path:
    """Download a data set and write it as ArrayRecord below `root`, whole or not at all."""
    if missing_packages("tensorflow"):
        raise UserError(
            f"{name} is not prepared in {root}, and to download and prepare it TFDS needs"
            f" TensorFlow: install {EXTRA}, or use source=files."
        )
    tfds = imported()
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = tfds.builder(name, data_dir=root, file_format=ARRAY_RECORD)
        refuse_offline(builder.url_infos, root)
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
    """Both parts of a version prepared as ArrayRecord."""
    tfds = imported()
    try:
        builder = tfds.builder_from_directory(folder)
        return RawImages(*read_part(tfds, builder, "train"), *read_part(tfds, builder, "test"))
    except Exception as error:  # a damaged shard surfaces as anything from KeyError to RuntimeError
        raise UserError(
            f"{folder} is incomplete or damaged ({brief(error)}): delete that folder and prepare"
            " it again with source=tfds."
        ) from error


def read_part(tfds: Any, builder: Any, part: str) -> tuple[Images, Labels]:
    """All images and labels of a part, decoded here: TFDS's own decoding takes twice the time."""
    from PIL import Image

    shape = builder.info.features["image"].shape
    source = builder.as_data_source(part, decoders={"image": tfds.decode.SkipDecoding()})
    images = np.empty((len(source), *shape), np.uint8)
    labels = np.empty(len(source), np.int64)
    for start in range(0, len(source), CHUNK):
        indices = range(start, min(start + CHUNK, len(source)))
        for index, example in zip(indices, source.__getitems__(indices), strict=True):
            with Image.open(io.BytesIO(example["image"])) as image:
                images[index] = np.asarray(image, np.uint8).reshape(shape)
            labels[index] = example["label"]
    return images, labels
