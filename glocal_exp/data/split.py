"""Training, validation and test part of a data set, and the fingerprint of what went in."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32

from glocal_exp.data.checksums import moments
from glocal_exp.data.imbalance import first_of_each_class
from glocal_exp.data.source import ImageData
from glocal_exp.errors import UserError

Part = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Splits:
    """Three parts, each {"x": uint8 (n, h, w, c), "y": int32 (n,)} of images, and what they are.

    `info` holds plain values for the manifest: sizes, class counts, fingerprint, mean and standard
    deviation of all training images, held out or not (per channel, of x / 255), and the origin.
    `meta` is what hypergradients take instead of the validation part, where that is given.
    """

    train: Part
    validation: Part
    test: Part | None
    info: Mapping[str, Any]
    meta: Part | None = None


@dataclass(frozen=True, eq=False)
class OwnData:
    """In place of `ImageData`: the examples that a problem brings."""

    title: str  # what it is called
    source: str = "made"
    place: str = ""
    content: None = None  # None: they follow from the config
    notice: str = ""

    def splits(self, train: Any, validation: Any, test: Any, meta: Any = None) -> "Splits":
        """Its examples, which are told apart by their bytes."""
        digest = hashlib.sha256()
        for part in (train, validation, test, meta):
            for name, values in sorted((part or {}).items()):
                digest.update(f"{name}{np.shape(values)}".encode() + np.asarray(values).tobytes())
        info = {"title": self.title, "source": self.source, "notice": self.notice}
        info |= {"fingerprint": digest.hexdigest()[:16], "content": None}
        return Splits(train, validation, test, info, meta)


def split(
    data: ImageData, validation_size: int | float, seed: int, balanced: bool = False
) -> Splits:
    """Hold out validation images from the training images; the test images stay as they are.

    What is left is thinned out where the data set is a long-tailed one. Both choices depend on the
    images, `validation_size`, `balanced`, the imbalance and `seed` alone: not on the source, and
    not on the version of NumPy, whose raw bit streams are fixed.

    Args:
        validation_size: a count (int) or a fraction of the training images (float in (0, 1)).
        seed: of the choice.
        balanced: the same number of validation images from each class.

    Raises `UserError` for a size that leaves no validation or no training images, and for one that
    cannot be balanced.
    """
    held_out, kept = _choose(data, validation_size, seed, balanced)
    x, y = data.train_images, data.train_labels
    parts = {
        "train": {"x": x[kept], "y": y[kept]},
        "validation": {"x": x[held_out], "y": y[held_out]},
        "test": {"x": data.test_images, "y": data.test_labels},
    }
    return Splits(**parts, info=describe(data, parts, seed, balanced))


def class_counts(
    data: ImageData, validation_size: int | float, seed: int, balanced: bool = False
) -> list[int]:
    """Training images of each class, as `split` leaves them."""
    _, kept = _choose(data, validation_size, seed, balanced)
    return np.bincount(data.train_labels[kept], minlength=data.spec.num_classes).tolist()


def _choose(
    data: ImageData, validation_size: int | float, seed: int, balanced: bool
) -> tuple[Bool[np.ndarray, " n"], Int[np.ndarray, " kept"]]:
    """Which images are held out, and which are kept for training."""
    labels, spec = data.train_labels, data.spec
    size = validation_count(validation_size, len(labels))
    keys = np.random.PCG64(seed).random_raw(len(labels))
    order = np.argsort(keys, kind="stable")
    chosen = balanced_choice(order, labels, size, spec.num_classes) if balanced else order[:size]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[chosen] = True
    if spec.imbalance is None:
        return held_out, np.flatnonzero(~held_out)
    left = order[~held_out[order]]
    return held_out, spec.imbalance.choose(left, labels, spec.num_classes)


def hypergradient_part(validation: Part, subset: int | None, balanced: bool) -> Part | None:
    """The first validation images, if hypergradients use fewer than all of them (None).

    Of each class as many as of any other, where the validation part is so, and the subset can.
    """
    if not subset:
        return None
    labels = validation["y"]
    chosen = np.arange(subset)
    classes = np.unique(labels)
    if balanced and subset % len(classes) == 0:
        counts = [subset // len(classes)] * (classes[-1] + 1)
        chosen = np.sort(first_of_each_class(np.arange(len(labels)), labels, counts))
    return {name: part[chosen] for name, part in validation.items()}


def validation_count(size: int | float, total: int) -> int:
    """Number of validation images; raises `UserError` unless it is between 1 and `total` - 1."""
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer):
        raise UserError(f"validation.size={size} is no number: give a count or a fraction.")
    fraction = isinstance(size, float)
    count = round(size * total) if fraction and 0 < size < 1 else 0 if fraction else int(size)
    if not 0 < count < total:
        raise UserError(
            f"validation.size={size} does not leave both validation and training images: give a"
            f" count from 1 to {total - 1:,}, or a fraction between 0 and 1."
        )
    return count


def balanced_choice(
    order: Int[np.ndarray, " n"], labels: Int32[np.ndarray, " n"], size: int, num_classes: int
) -> Int[np.ndarray, " size"]:
    """The first `size` / `num_classes` images of each class in `order`."""
    each, remainder = divmod(size, num_classes)
    if remainder:
        raise UserError(
            f"{size:,} validation images cannot be balanced over {num_classes} classes: set"
            f" validation.size to a multiple of {num_classes}."
        )
    fewest = int(np.bincount(labels, minlength=num_classes).min())
    if each > fewest:
        raise UserError(
            f"A balanced validation.size={size:,} needs {each:,} images of each class, but one"
            f" class has {fewest:,}: set it to {fewest * num_classes:,} at most."
        )
    return first_of_each_class(order, labels, [each] * num_classes)


def describe(
    data: ImageData, parts: Mapping[str, Part], seed: int, balanced: bool
) -> dict[str, Any]:
    """What the manifest says about the data; no path, so that manifests can be published."""
    mean, std = moments(data.train_images)  # those that images are normalised by
    spec, labels = data.spec, {name: part["y"] for name, part in parts.items()}
    classes, entitle = spec.num_classes, spec.imbalance.entitle if spec.imbalance else str
    return {
        "dataset": spec.name,
        "title": entitle(spec.title),
        "notice": data.notice and entitle(data.notice),
        "original": data.original,
        "recognised_by": data.recognised_by,
        "source": data.source,
        "files": {name: asdict(checked) for name, checked in data.files.items()},
        "content": data.content,
        "fingerprint": fingerprint(parts),
        "split_seed": seed,
        "balanced": balanced,
        "sizes": {name: len(y) for name, y in labels.items()},
        "class_counts": {n: np.bincount(y, minlength=classes).tolist() for n, y in labels.items()},
        "num_classes": classes,
        "image_shape": list(data.train_images.shape[1:]),
        "mean": [value / 255 for value in mean],
        "std": [value / 255 for value in std],
    }


def fingerprint(parts: Mapping[str, Part]) -> str:
    """16 hex digits for the shapes and bytes of all parts, in their order."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        x, y = parts[name]["x"], parts[name]["y"]
        digest.update(repr((name, x.shape, y.shape)).encode())
        digest.update(np.ascontiguousarray(x).data)
        digest.update(np.ascontiguousarray(y, dtype="<i4").data)
    return digest.hexdigest()[:16]
