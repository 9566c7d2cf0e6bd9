"""TFDS's own builders on data sets of full size, read back and compared with the original files.

Needs TensorFlow (the extra tfds) and GLOCAL_DATA_DIR. KMNIST and CIFAR-100, which are seldom at
hand, are stood in for by altered MNIST images in their formats.
"""

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.data import split
from glocal_exp.data.files import Files
from glocal_exp.data.tfds import Tfds
from tests.data.writers import (
    DATA_DIR,
    IDX_NAMES,
    cifar100_batches,
    needs_data,
    rows,
    spec,
    write_cifar,
    write_idx,
)

ROOT = Path(__file__).resolve().parents[2]
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow (extra tfds) is missing"
)
KEYS = ("train_images", "train_labels", "test_images", "test_labels")


def mnist() -> dict[str, np.ndarray]:
    data = Files(str(DATA_DIR)).load(spec("mnist"))
    return {key: getattr(data, key).astype(np.uint8) for key in KEYS}


def unpack(folder: Path, downloads: Path) -> None:
    """What TFDS would have unpacked from the four files of the MNIST family."""
    downloads.mkdir()
    for name in IDX_NAMES:
        (downloads / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))


def write_binary(folder: Path, name: str, labels: np.ndarray, images: np.ndarray) -> None:
    """CIFAR's "binary version": the bytes of the labels, then those of the image."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(np.hstack([labels, rows(images)]).tobytes())


def original_mnist(files: Path, downloads: Path) -> Path:
    unpack(DATA_DIR / "mnist", downloads)
    return DATA_DIR


def original_fmnist(files: Path, downloads: Path) -> Path:
    unpack(DATA_DIR / "fashion_mnist", downloads)
    return DATA_DIR


def altered_kmnist(files: Path, downloads: Path) -> Path:
    arrays = mnist()
    altered = {key: array[:, ::-1] if array.ndim > 1 else array for key, array in arrays.items()}
    unpack(write_idx(files, altered), downloads)
    return files


def altered_cifar100(files: Path, downloads: Path) -> Path:
    arrays = mnist()
    altered = {}
    for part, count in (("train", 50_000), ("test", 10_000)):
        gray = np.pad(arrays[f"{part}_images"][:count], ((0, 0), (2, 2), (2, 2), (0, 0)))
        altered[f"{part}_images"] = np.concatenate([gray, gray[:, ::-1], gray // 2], axis=-1)
        altered[f"{part}_labels"] = (np.arange(count) % 100).astype(np.uint8)
        labels = altered[f"{part}_labels"][:, np.newaxis]
        both = np.hstack([labels // 5, labels])
        write_binary(downloads / "cifar-100-binary", f"{part}.bin", both, altered[f"{part}_images"])
    write_cifar(files / "cifar-100-python", cifar100_batches(altered))
    for kind, count in (("coarse", 20), ("fine", 100)):
        names = "\n".join(f"class {i}" for i in range(count))
        (downloads / f"cifar-100-binary/{kind}_label_names.txt").write_text(names)
    return files


DATA_SETS = {
    "mnist": (original_mnist, ""),
    "fmnist": (original_fmnist, ""),
    "kmnist": (altered_kmnist, "KMNIST (not verified as the original)"),
    "cifar100": (altered_cifar100, "CIFAR-100 (not the original images)"),
}


@needs_data
@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("name", DATA_SETS)
def test_tfds_gives_the_pixels_and_splits_of_the_files(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "home"))
    make, notice = DATA_SETS[name]
    data_dir = make(tmp_path / "files", tmp_path / "downloads")
    wanted = spec(name)
    command = [sys.executable, "-m", "tests.data.prepare_with_tfds", wanted.tfds]
    result = subprocess.run(
        [*command, tmp_path / "downloads", tmp_path / "tfds"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3_000:]
    prepared = Tfds(str(tmp_path / "tfds")).load(wanted)
    files = Files(str(data_dir)).load(wanted)
    assert prepared.notice == notice
    assert prepared.content == files.content
    for key in KEYS:
        np.testing.assert_array_equal(getattr(prepared, key), getattr(files, key))
    one, two = (split(data, 0.1, 0).info for data in (prepared, files))
    assert one["fingerprint"] == two["fingerprint"]
    assert one["sizes"]["train"] == (54_000 if "mnist" in name else 45_000)
