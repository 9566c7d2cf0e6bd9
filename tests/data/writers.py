"""Small data sets in the true file formats, and the project's own descriptions of the real ones."""

import gzip
import io
import pickle
import re
import struct
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from glocal_exp.data import DatasetSpec, ImageData
from glocal_exp.data.checksums import assemble
from glocal_exp.data.files import Files
from glocal_exp.data.imbalance import LongTail
from glocal_exp.data.source import RawImages
from glocal_exp.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
KEYS = ("train_images", "train_labels", "test_images", "test_labels")
CIFAR10_TRAIN = [f"data_batch_{i}" for i in range(1, 6)]


def spec(name: str) -> DatasetSpec:
    """The data set that `dataset=name` chooses."""
    return instantiate(OmegaConf.load(CONFIGS / f"dataset/{name}.yaml"))


def pairs(pictures: np.ndarray, numbers: np.ndarray) -> list[tuple[bytes, int]]:
    """Images with their labels, whatever their order."""
    return sorted((x.tobytes(), int(y)) for x, y in zip(pictures, numbers, strict=True))


def assert_holds(data: ImageData, arrays: dict) -> None:
    """Each part of `data` has the images and labels of `arrays`."""
    for images, labels in (KEYS[:2], KEYS[2:]):
        found = pairs(getattr(data, images), getattr(data, labels))
        assert found == pairs(arrays[images], arrays[labels])


def assert_refused(folder: Path, wanted: DatasetSpec, *patterns: str) -> None:
    """Reading ends in one sentence that matches all patterns."""
    with pytest.raises(UserError) as caught:
        Files(str(folder)).load(wanted)
    said = str(caught.value)
    assert all(re.search(pattern, said) for pattern in patterns), said
    assert said.endswith(".")
    assert "\n" not in said
    assert ". " not in said


def truncate(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def images(n: int, shape: tuple[int, int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype(np.uint8)


def labels(n: int, classes: int, seed: int) -> np.ndarray:
    """Every class as often as any other, in random order."""
    return np.random.default_rng(seed).permutation(np.arange(n) % classes).astype(np.uint8)


def small(shape: tuple[int, int, int], classes: int = 10, n: int = 40, m: int = 20) -> dict:
    """Arrays of a small data set, keyed as in the embedded one."""
    return {
        "train_images": images(n, shape, 1),
        "train_labels": labels(n, classes, 2),
        "test_images": images(m, shape, 3),
        "test_labels": labels(m, classes, 4),
    }


def assembled(
    n: int = 40, order: np.ndarray | None = None, imbalance: LongTail | None = None
) -> ImageData:
    """A small data set with nothing published of it, its training images read in some `order`."""
    arrays = small((28, 28, 1), n=n)
    if order is not None:
        arrays |= {key: arrays[key][order] for key in KEYS[:2]}
    own = replace(spec("mnist"), format=None, contents={}, imbalance=imbalance)
    return assemble(own, RawImages(**arrays), "files", "/secret/place")


def idx(array: np.ndarray) -> bytes:
    """IDX: two zeros, 8 for unsigned bytes, the number of dimensions, the sizes, the bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def write_idx(folder: Path, arrays: dict, template: str = "{}.gz") -> Path:
    """The four files under the names that `template` makes of the original ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, key in zip(IDX_NAMES, arrays, strict=True):
        array = arrays[key][..., 0] if arrays[key].ndim == 4 else arrays[key]
        path = folder / template.format(name)
        content = idx(array)
        path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return folder


def rows(pictures: np.ndarray) -> np.ndarray:
    """CIFAR's rows: all red, then all green, then all blue pixels."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1))


def cifar_batch(pictures: np.ndarray, numbers: np.ndarray, title: str, key: str) -> dict:
    return {
        b"batch_label": title.encode(),
        key.encode(): numbers.tolist(),
        b"data": rows(pictures),
        b"filenames": [f"picture_{i}.png".encode() for i in range(len(numbers))],
    }


def cifar10_batches(arrays: dict) -> dict[str, dict]:
    pictures = np.array_split(arrays["train_images"], 5)
    numbers = np.array_split(arrays["train_labels"], 5)
    batches = {
        name: cifar_batch(pictures[i], numbers[i], f"training batch {i + 1} of 5", "labels")
        for i, name in enumerate(CIFAR10_TRAIN)
    }
    test = cifar_batch(
        arrays["test_images"], arrays["test_labels"], "testing batch 1 of 1", "labels"
    )
    return {**batches, "test_batch": test}


def cifar100_batches(arrays: dict) -> dict[str, dict]:
    batches = {}
    for name, title in (("train", "training"), ("test", "testing")):
        numbers = arrays[f"{name}_labels"]
        batch = cifar_batch(
            arrays[f"{name}_images"], numbers, f"{title} batch 1 of 1", "fine_labels"
        )
        batches[name] = {**batch, b"coarse_labels": (numbers // 5).tolist()}
    return batches


class Python2Pickler(pickle._Pickler):
    """Writes what Python 2 wrote with protocol 2: byte strings for all text."""

    write: Any
    memoize: Any
    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_bytes(self, obj: bytes) -> None:
        short = len(obj) < 256
        size = bytes([len(obj)]) if short else struct.pack("<i", len(obj))
        self.write((pickle.SHORT_BINSTRING if short else pickle.BINSTRING) + size + obj)
        self.memoize(obj)

    def save_str(self, obj: str) -> None:
        self.save_bytes(obj.encode("latin1"))

    dispatch[bytes] = save_bytes
    dispatch[str] = save_str


def python2_pickle(value: Any) -> bytes:
    """The form of the original files: Python 2, protocol 2, NumPy's old module names."""
    stream = io.BytesIO()
    Python2Pickler(stream, 2).dump(value)
    return stream.getvalue().replace(b"numpy._core.", b"numpy.core.")


def write_cifar(folder: Path, batches: dict[str, dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, batch in batches.items():
        (folder / name).write_bytes(python2_pickle(batch))
    return folder


def write_archive(path: Path, folder: Path, name: str) -> Path:
    """A gzipped tar that holds `folder` under `name`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, name)
    return path
