"""TensorFlow Datasets: reads ArrayRecord without TensorFlow, downloads and prepares with it.

TFDS shuffles when it prepares, so its order differs from that of the original files; the canonical
order of `checksums` makes the splits the same.
"""

import importlib.util
import io
import json
import os
import socket
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int64, UInt8

from glocal_exp.data.checksums import assemble
from glocal_exp.data.files import existing_folder
from glocal_exp.data.source import DatasetSpec, ImageData, RawImages
from glocal_exp.errors import UserError

ARRAY_RECORD = "array_record"
EXTRA = "the extra tfds (pip install '.[tfds]')"
READERS = ("tensorflow_datasets", "array_record", "importlib_resources")
CHUNK = 1_000


@dataclass(frozen=True)
class Prepared:
    """A prepared version of a data set: `<name>/<version>` below a TFDS data directory."""

    folder: Path
    file_formats: tuple[str, ...]


@dataclass(frozen=True)
class Tfds:
    """A TFDS data directory: `data_dir`, its `tensorflow_datasets`, or TFDS's own default."""

    data_dir: str | None = None
    name: ClassVar[str] = "tfds"

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if it is prepared in a form that can be read here; nothing is downloaded."""
        if spec.tfds is None:
            return f"{spec.title} has no name in TensorFlow Datasets"
        prepared = self.find(spec)
        if prepared is None:
            return f"{spec.tfds} is not prepared in {' or '.join(map(str, self.roots()))}"
        if ARRAY_RECORD not in prepared.file_formats:
            return only_tensorflow(prepared)
        missing = missing_packages(*READERS)
        return f"reading it needs {missing}, part of {EXTRA}" if missing else None

    def load(self, spec: DatasetSpec) -> ImageData:
        """The data set, downloaded and prepared first if need be; else raises `UserError`."""
        if spec.tfds is None:
            raise UserError(f"{spec.title} is not in TensorFlow Datasets: use source=files.")
        prepared = self.find(spec)
        if prepared is None:
            prepare(spec.tfds, self.roots()[0])
            prepared = self.find(spec)
        if prepared is None:
            raise UserError(f"TFDS did not prepare {spec.tfds}: update tensorflow-datasets.")
        if ARRAY_RECORD not in prepared.file_formats:
            raise UserError(f"{only_tensorflow(prepared)}.")
        return assemble(spec, read(prepared.folder), self.name, prepared.folder)

    def roots(self) -> list[Path]:
        """Where to look; the first is where to prepare."""
        default = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
        if self.data_dir is None:
            return [default]
        folder = existing_folder(self.data_dir)
        return [folder, folder / "tensorflow_datasets", default]

    def find(self, spec: DatasetSpec) -> Prepared | None:
        """The newest version that can be read, else the newest in another format."""
        found = [
            prepared
            for root in self.roots()
            for info in (root / str(spec.tfds)).glob("*/dataset_info.json")
            if (prepared := described(info)) is not None
        ]
        found.sort(key=lambda p: (ARRAY_RECORD in p.file_formats, version(p.folder)))
        return found[-1] if found else None


def only_tensorflow(prepared: Prepared) -> str:
    """Why a version without ArrayRecord is not read, and what to do about it; no full stop."""
    return (
        f"{prepared.folder} is prepared as {prepared.file_formats[0]}, which only TensorFlow reads:"
        f" add ArrayRecord files to it with `python scripts/convert_tfds.py {prepared.folder}`"
    )


def described(info: Path) -> Prepared | None:
    """What a `dataset_info.json` says; None for a folder whose preparation was cut off."""
    if version(info.parent) is None:
        return None
    try:
        content = json.loads(info.read_text())
        formats = (content["fileFormat"], *content.get("alternativeFileFormats", ()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{info} is damaged ({type(error).__name__}): delete {info.parent}, prepare it again."
        ) from error
    return Prepared(info.parent, tuple(str(name).lower() for name in formats))


def version(folder: Path) -> tuple[int, ...] | None:
    """The numbers of a folder named like 3.0.1, else None."""
    parts = folder.name.split(".")
    return tuple(map(int, parts)) if len(parts) == 3 and all(map(str.isdecimal, parts)) else None


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


def prepare(name: str, root: Path) -> None:
    """Download a data set and write it as ArrayRecord below `root`, whole or not at all."""
    missing = missing_packages("tensorflow")
    if missing:
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
        train = read_part(tfds, builder, "train")
        test = read_part(tfds, builder, "test")
    except Exception as error:  # a damaged shard surfaces as anything from KeyError to RuntimeError
        raise UserError(
            f"{folder} is incomplete or damaged ({brief(error)}): delete that folder and prepare"
            " it again with source=tfds."
        ) from error
    return RawImages(*train, *test)


def read_part(
    tfds: Any, builder: Any, part: str
) -> tuple[UInt8[np.ndarray, "n h w c"], Int64[np.ndarray, " n"]]:
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
