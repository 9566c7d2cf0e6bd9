"""Which data set this really is, and one order of its images for all sources.

Every image gets a hash of its pixels and label. Sorting by it makes the order of a data set, and so
every split, independent of the source (TFDS shuffles); hashing the sorted hashes gives a digest of
the content that no container, compression or order changes.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import UInt64

from glocal_exp.data.source import DatasetSpec, FileCheck, ImageData, Images, Labels, RawImages
from glocal_exp.errors import UserError


def assemble(spec: DatasetSpec, raw: RawImages, source: str, place: Path | str) -> ImageData:
    """Check, order and recognise what a source has read.

    Raises `UserError` for images or labels that do not fit the spec, and for another data set.
    """
    check(spec, raw.train_images, raw.train_labels, f"the training part of {place}")
    check(spec, raw.test_images, raw.test_labels, f"the test part of {place}")
    *train, train_hashes = canonical(raw.train_images, raw.train_labels)
    *test, test_hashes = canonical(raw.test_images, raw.test_labels)
    content = content_digest(train_hashes, test_hashes)
    original, recognised_by, notice = recognise(spec, raw, content, place)
    return ImageData(
        *train,
        *test,
        files=dict(raw.files),
        spec=spec,
        source=source,
        place=str(place),
        content=content,
        original=original,
        recognised_by=recognised_by,
        notice=notice,
    )


def check(spec: DatasetSpec, images: Images, labels: Labels, where: str) -> None:
    """Raise `UserError`, naming `where`, unless images and labels fit each other and the spec."""
    trouble, last = "", spec.num_classes - 1
    if images.shape[1:] != tuple(spec.image_shape):
        found, expected = (" x ".join(map(str, s)) for s in (images.shape[1:], spec.image_shape))
        trouble = f"Images in {where} are {found}, not {expected}"
    elif len(images) != len(labels):
        trouble = f"There are {len(images):,} images but {len(labels):,} labels in {where}"
    elif len(labels) == 0:
        trouble = f"There are no images in {where}"
    elif len(wrong := labels[(labels < 0) | (labels > last)]):
        trouble = f"A label is {wrong[0]} in {where}, where labels run from 0 to {last}"
    if trouble:
        raise UserError(f"{trouble}: put the original files of {spec.title} there.")


def canonical(images: Images, labels: Labels) -> tuple[Images, Labels, UInt64[np.ndarray, "n 2"]]:
    """Images and labels (int32) sorted by the hash of both, and the sorted hashes."""
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
    found = md5(content)
    for other, known in published.items():
        if known == found and other.removesuffix(".gz") != plain:
            raise UserError(f"{name} is in truth {other}: give each file its own name again.")
    if plain in published:
        return FileCheck(found, found == published[plain])
    # compressed again it would differ, with the original inside
    same = stored is not content and md5(stored) == published.get(f"{plain}.gz")
    return FileCheck(found, same or None)


def md5(content: bytes) -> str:
    """Its 32 hex digits."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


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


def moments(images: Images) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, 0 to 255, from exact sums of integers."""
    first = np.einsum("nhwc->c", images, dtype=np.int64).tolist()
    second = np.einsum("nhwc,nhwc->c", images, images, dtype=np.int64).tolist()
    pixels = images[..., 0].size
    mean = [s / pixels for s in first]
    std = [(pixels * t - s * s) ** 0.5 / pixels for s, t in zip(first, second, strict=True)]
    return mean, std
