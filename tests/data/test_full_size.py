"""TFDS's own builders on the original data sets, read back and compared with the files.

Needs TensorFlow (the extra tfds) and GLOCAL_DATA_DIR.
"""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.data import DatasetSpec, cifar_pickle, split
from glocal_exp.data.cifar import CifarFiles
from glocal_exp.data.files import uncompressed
from glocal_exp.data.idx import locate
from glocal_exp.data.tfds import Tfds
from tests.data.writers import IDX_NAMES, KEYS, spec

ROOT = Path(__file__).resolve().parents[2]
BINARY = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}
OFFICIAL = {  # md5 of CIFAR-100's "binary version"
    "train": "6172c7755cfe09b2fe270c85cebc1b15",
    "test": "4499cfba6c016c1be1438163640a0898",
}


def unpack(place: Path, downloads: Path) -> None:
    """What TFDS would have unpacked from the four files of the MNIST family."""
    for name in IDX_NAMES:
        path = locate(place, name)[0]
        (downloads / name).write_bytes(uncompressed(path, path.read_bytes()))


def write_binary(cifar: CifarFiles, place: Path, folder: Path) -> None:
    """CIFAR's "binary version": of each image the bytes of its labels, then the image's."""
    folder.mkdir()
    for name, content in cifar.contents(place).items():
        batch = cifar_pickle.load(content)
        kinds = [kind for kind in ("coarse_labels", cifar.label_key) if kind in batch]
        columns = [np.array(batch[kind], np.uint8)[:, np.newaxis] for kind in kinds]
        binary = np.hstack([*columns, batch["data"]]).tobytes()
        if name in OFFICIAL:
            assert hashlib.md5(binary).hexdigest() == OFFICIAL[name]
        (folder / f"{name}.bin").write_bytes(binary)
    files = ("batches.meta.txt", 10), ("coarse_label_names.txt", 20), ("fine_label_names.txt", 100)
    for name, count in files:
        (folder / name).write_text("\n".join(f"class {i}" for i in range(count)))


def prepare(wanted: DatasetSpec, downloads: Path, root: Path) -> str:
    command = [sys.executable, "-m", "tests.data.prepare_with_tfds", str(wanted.tfds)]
    result = subprocess.run(
        [*command, downloads, root], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3_000:]
    return result.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow (extra tfds) is missing"
)
def test_tfds_gives_the_pixels_and_splits_of_the_files(tmp_path, folder_of, original):
    wanted, downloads = spec(original.spec.name), tmp_path / "downloads"
    assert wanted.format is not None
    place = wanted.format.find(folder_of(original.spec.name))
    assert place is not None
    downloads.mkdir()
    if isinstance(wanted.format, CifarFiles):
        write_binary(wanted.format, place, downloads / BINARY[wanted.name])
    else:
        unpack(place, downloads)
    folder = prepare(wanted, downloads, tmp_path / "tfds")
    prepared = Tfds(str(tmp_path / "tfds")).load(wanted)
    assert prepared.place == folder
    assert (prepared.original, prepared.notice, prepared.recognised_by) == (True, "", "content")
    assert prepared.content == original.content
    for key in KEYS:
        np.testing.assert_array_equal(getattr(prepared, key), getattr(original, key))
    one, two = (split(data, 0.1, 0).info for data in (prepared, original))
    assert one["fingerprint"] == two["fingerprint"]
