"""Which data set this really is, and one order of its images for all sources.

Every image gets a hash of its pixels and label. Sorting by it makes the order of a data set, and so
every split, independent of the source (TFDS shuffles); hashing the sorted hashes gives a digest of
the content that no container, compression or order changes.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import Int32, Integer, UInt8, UInt64

from glocal_exp.data.source import DatasetSpec, FileCheck, ImageData, RawImages
from glocal_exp.errors import UserError


def assemble(spec: DatasetSpec, raw: RawImages, source: str, place: Path | str) -> ImageData:
    """Check, order and recognise what a source has read.

    Raises `UserError` for images or labels that do not fit the spec, and for another data set.
    """
    check(spec, raw.train_images, raw.train_labels, f"the training part of {place}")
    check(spec, raw.test_images, raw.test_labels, f"the test part of {place}")
    train_images, train_labels, train_hashes = canonical(raw.train_images, raw.train_labels)
    test_images, test_labels, test_hashes = canonical(raw.test_images, raw.test_labels)
    content = content_digest(train_hashes, test_hashes)
    original, recognised_by, notice = recognise(spec, raw, content, place)
    return ImageData(
        train_images,
        train_labels,
        test_images,
        test_labels,
        num_classes=spec.num_classes,
        name=spec.name,
        title=spec.title,
        source=source,
        place=str(place),
        files=dict(raw.files),
        content=content,
        original=original,
        recognised_by=recognised_by,
        notice=notice,
        imbalance=spec.imbalance,
    )


def check(
    spec: DatasetSpec,
    images: UInt8[np.ndarray, "n h w c"],
    labels: Integer[np.ndarray, " n"],
    where: str,
) -> None:
    """Raise `UserError`, naming `where`, unless images and labels fit each other and the spec."""

    def refuse(trouble: str) -> NoReturn:
        raise UserError(f"{trouble}: put the original files of {spec.title} there.")

    if images.shape[1:] != tuple(spec.image_shape):
        found, expected = (" x ".join(map(str, s)) for s in (images.shape[1:], spec.image_shape))
        refuse(f"Images in {where} are {found}, not {expected}")
    if len(images) != len(labels):
        refuse(f"There are {len(images):,} images but {len(labels):,} labels in {where}")
    if len(labels) == 0:
        refuse(f"There are no images in {where}")
    low, high, last = int(labels.min()), int(labels.max()), spec.num_classes - 1
    if low < 0 or high > last:
        wrong = low if low < 0 else high
        refuse(f"A label is {wrong} in {where}, where labels run from 0 to {last}")


def canonical(
    images: UInt8[np.ndarray, "n h w c"], labels: Integer[np.ndarray, " n"]
) -> tuple[UInt8[np.ndarray, "n h w c"], Int32[np.ndarray, " n"], UInt64[np.ndarray, "n 2"]]:
    """Images and labels sorted by the hash of both, and the sorted hashes."""
    numbers = np.ascontiguousarray(labels, dtype="<i4")
    pixels = np.ascontiguousarray(images).reshape(len(images), -1)
    rows = np.hstack([pixels, numbers.view(np.uint8).reshape(-1, 4)])
    digests = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    hashes = np.frombuffer(digests, dtype=">u8").reshape(-1, 2)
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    return images[order], numbers.astype(np.int32)[order], hashes[order].astype(np.uint64)


def content_digest(train: UInt64[np.ndarray, "n 2"], test: UInt64[np.ndarray, "m 2"]) -> str:
    """32 hex digits for the sorted hashes of both parts."""
    digest = hashlib.sha256()
    for part in (train, test):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part.astype(">u8").tobytes())
    return digest.hexdigest()[:32]


def file_check(name: str, content: bytes, stored: bytes, published: Mapping[str, str]) -> FileCheck:
    """Compare a file with the published md5s of its kin.

    `published` maps file names to md5s: of the compressed file where the name ends in `.gz`, else
    of what is inside. Raises `UserError` if the content is that of another file of the data set.
    """
    plain = name.removesuffix(".gz")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    for other, known in published.items():
        if known == md5 and other.removesuffix(".gz") != plain:
            raise UserError(f"{name} is in truth {other}: give each file its own name again.")
    if plain in published:
        return FileCheck(md5, md5 == published[plain])
    if f"{plain}.gz" in published and stored is not content:
        stored_md5 = hashlib.md5(stored, usedforsecurity=False).hexdigest()
        return FileCheck(md5, True if stored_md5 == published[f"{plain}.gz"] else None)
    return FileCheck(md5, None)


def recognise(
    spec: DatasetSpec, raw: RawImages, content: str, place: Path | str
) -> tuple[bool, str, str]:
    """Whether this is the original, how that was decided, and the notice for captions.

    The content decides if it is known, then the files' checksums. Raises `UserError` if the content
    is that of another data set.
    """
    found = spec.contents.get(content, "")
    if found == spec.title:
        return True, "content", ""
    if found.startswith(f"{spec.title} ("):
        return False, "content", found
    if found:
        raise UserError(
            f"{place} holds {found}, not {spec.title}: choose the dataset that it is, or put the"
            f" files of {spec.title} there."
        )
    verdicts = [checked.original for checked in raw.files.values()]
    if verdicts and all(verdicts):
        return True, "checksums of the files", ""
    if False in verdicts:
        return False, "checksums of the files", f"{spec.title} (not the original files)"
    if spec.title in spec.contents.values():
        return False, "content", f"{spec.title} (not the original images)"
    if spec.contents or getattr(spec.format, "checksums", None):
        return False, "", f"{spec.title} (not verified as the original)"
    return True, "nothing published to compare with", ""


def moments(images: UInt8[np.ndarray, "n h w c"]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, 0 to 255, from exact sums of integers."""
    channels = images.shape[-1]
    first, second = [0] * channels, [0] * channels
    for start in range(0, len(images), 2_000):
        chunk = images[start : start + 2_000].reshape(-1, channels)
        for channel in range(channels):
            counts = np.bincount(chunk[:, channel], minlength=256)
            first[channel] += int(counts @ np.arange(256))
            second[channel] += int(counts @ np.arange(256) ** 2)
    pixels = images[..., 0].size
    mean = [s / pixels for s in first]
    std = [(pixels * t - s * s) ** 0.5 / pixels for s, t in zip(first, second, strict=True)]
    return mean, std
