"""Prepared TFDS directories, written here without TensorFlow, read without it."""

import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.data import split, tfds
from glocal_exp.data.bundled import Bundled
from glocal_exp.data.files import Files
from glocal_exp.data.source import Auto
from glocal_exp.data.tfds import Tfds
from glocal_exp.errors import UserError
from tests.data.tfds_writers import write_tfds
from tests.data.writers import KEYS, cifar10_batches, small, spec, truncate, write_cifar, write_idx

MNIST = spec("mnist")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)


def assert_same(one, two):
    assert one.content == two.content
    for key in KEYS:
        np.testing.assert_array_equal(getattr(one, key), getattr(two, key))
    assert split(one, 10, 0).info["fingerprint"] == split(two, 10, 0).info["fingerprint"]


def test_gray_images_and_splits_equal_those_of_the_files(tmp_path, arrays):
    write_idx(tmp_path / "idx", arrays)
    write_tfds(tmp_path, "mnist", arrays)
    data = Tfds(str(tmp_path)).load(MNIST)
    assert_same(data, Files(str(tmp_path / "idx")).load(MNIST))
    assert (data.source, data.place) == ("tfds", str(tmp_path / "mnist/3.0.1"))
    assert data.notice == "MNIST (not the original images)"


def test_colour_images_and_splits_equal_those_of_the_files(tmp_path):
    arrays = small((32, 32, 3))
    write_cifar(tmp_path / "files", cifar10_batches(arrays))
    write_tfds(tmp_path, "cifar10", arrays)
    data = Tfds(str(tmp_path)).load(spec("cifar10"))
    assert_same(data, Files(str(tmp_path / "files")).load(spec("cifar10")))
    assert data.notice == "CIFAR-10 (not the original images)"


def test_tensorflow_need_not_be_installed(tmp_path, arrays):
    write_tfds(tmp_path, "mnist", arrays)
    program = (
        "import sys\n"
        "class Hiding:\n"
        "    def __init__(self, finder): self.finder = finder\n"
        "    def __getattr__(self, name): return getattr(self.finder, name)\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] != 'tensorflow': return self.finder.find_spec(name, *rest)\n"
        "sys.meta_path[:] = map(Hiding, sys.meta_path)\n"
        "from tests.data.writers import spec\n"
        "from glocal_exp.data.tfds import Tfds\n"
        f"print(len(Tfds({str(tmp_path)!r}).load(spec('mnist')).train_labels))"
    )
    result = run("-c", program)
    assert (result.returncode, result.stdout.strip()) == (0, "40"), result.stderr


@pytest.mark.parametrize("where", ["given", "given/tensorflow_datasets", "home"])
def test_where_it_looks(tmp_path, arrays, where):
    (tmp_path / "given").mkdir()
    folder = write_tfds(tmp_path / where, "mnist", arrays)
    assert Tfds(str(tmp_path / "given")).load(MNIST).place == str(folder)


@pytest.mark.parametrize("said", [True, False])
def test_a_directory_of_tfrecord_is_read_as_it_is(tmp_path, arrays, said):
    """Older versions of TFDS knew TFRecord alone, and did not say it."""
    folder = write_tfds(tmp_path, "mnist", arrays, "tfrecord")
    if not said:
        info = json.loads((folder / "dataset_info.json").read_text())
        del info["fileFormat"]
        (folder / "dataset_info.json").write_text(json.dumps(info))
    write_idx(tmp_path / "idx", arrays)
    assert Tfds(str(tmp_path)).absence(MNIST) is None
    assert_same(Tfds(str(tmp_path)).load(MNIST), Files(str(tmp_path / "idx")).load(MNIST))


@pytest.fixture
def riegeli(tmp_path, arrays):
    """A version in a format that is not read here."""
    folder = write_tfds(tmp_path, "fashion_mnist", arrays)
    for shard in folder.glob("*.array_record-*"):
        shard.rename(str(shard).replace("array_record", "riegeli"))
    return folder


def test_another_format_is_named_and_no_obstacle_to_other_sources(tmp_path, riegeli):
    reader, wanted = Tfds(str(tmp_path)), spec("fmnist")
    sentence = "3.0.1 holds no files in the formats array_record or tfrecord"
    with pytest.raises(UserError, match=sentence):
        reader.load(wanted)
    data = Auto([reader, Bundled()]).load(wanted)
    assert data.source == "bundled"
    assert sentence in data.skipped[0]


def test_the_newest_version_that_can_be_read_is_taken(tmp_path, arrays, riegeli):
    riegeli.rename(riegeli.with_name("9.9.9"))
    folder = write_tfds(tmp_path, "fashion_mnist", arrays)
    for name in ("3.0.10", "3.0.9", "incomplete.AB12_4.0.0"):
        shutil.copytree(folder, folder.with_name(name))
    assert Tfds(str(tmp_path)).find(spec("fmnist")) == folder.with_name("3.0.10")


@pytest.mark.parametrize("keep", [None, 0.0, 0.47, 0.999])
@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_a_damaged_shard_names_its_folder(tmp_path, arrays, file_format, keep):
    folder = write_tfds(tmp_path, "mnist", arrays, file_format)
    shard = next(folder.glob("*test.*-of-*"))
    shard.unlink() if keep is None else truncate(shard, keep)
    with pytest.raises(UserError, match=r"mnist/3.0.1 is incomplete or damaged .*prepare it again"):
        Tfds(str(tmp_path)).load(MNIST)


@pytest.mark.parametrize("package", ["tensorflow_datasets", "array_record", "importlib_resources"])
def test_a_missing_package_names_the_extra(tmp_path, arrays, monkeypatch, package):
    write_tfds(tmp_path, "mnist", arrays)
    hide(monkeypatch, package)
    assert f"needs {package}, part of the extra tfds" in str(Tfds(str(tmp_path)).absence(MNIST))
    with pytest.raises(UserError, match=rf"source=tfds needs {package}: install the extra tfds"):
        Tfds(str(tmp_path)).load(MNIST)


def test_preparing_without_tensorflow_names_the_extra(tmp_path, monkeypatch):
    hide(monkeypatch, "tensorflow")
    with pytest.raises(UserError, match="needs TensorFlow: install the extra tfds") as caught:
        Tfds(str(tmp_path)).load(MNIST)
    assert str(tmp_path) in str(caught.value)


def hide(monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )


def test_preparing_without_a_network_is_refused_at_once(tmp_path, monkeypatch):
    def no_network(*_):
        raise OSError("Name or service not known")

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: find("json" if name == "tensorflow" else name)
    )
    monkeypatch.setattr(tfds.socket, "getaddrinfo", no_network)
    monkeypatch.setattr(tfds.urllib.request, "getproxies", dict)
    with pytest.raises(UserError, match=r"could not download .*not known\): check the network"):
        Tfds(str(tmp_path)).load(MNIST)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_tfds_does_not_have(tmp_path):
    own = dataclasses.replace(MNIST, tfds=None, title="Own")
    assert Tfds(str(tmp_path)).absence(own) == "Own has no name in TensorFlow Datasets"
    with pytest.raises(UserError, match="Own is not in TensorFlow Datasets"):
        Tfds(str(tmp_path)).load(own)


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "null", '{"splits": 3}'])
def test_a_damaged_description_is_named_and_no_obstacle_to_other_sources(tmp_path, arrays, content):
    write_tfds(tmp_path, "mnist", arrays)
    (tmp_path / "mnist/3.0.1/dataset_info.json").write_text(content)
    assert "is damaged" in str(Tfds(str(tmp_path)).absence(MNIST))
    with pytest.raises(UserError, match="is damaged"):
        Tfds(str(tmp_path)).load(MNIST)
