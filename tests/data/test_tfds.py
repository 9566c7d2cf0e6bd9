"""Prepared TFDS directories, written here without TensorFlow, read without it."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.data import split, tfds
from glocal_exp.data.files import Files
from glocal_exp.data.tfds import Tfds
from glocal_exp.data.tfrecord import convert
from glocal_exp.errors import UserError
from tests.data.tfds_writers import write_tfds
from tests.data.writers import (
    KEYS,
    cifar10_batches,
    small,
    spec,
    write_cifar,
    write_idx,
)

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


def test_the_newest_readable_version_is_taken(tmp_path, arrays):
    old = write_tfds(tmp_path, "mnist", arrays)
    for version, file_format in (("3.0.10", "array_record"), ("4.0.0", "tfrecord")):
        folder = old.with_name(version)
        folder.mkdir()
        info = json.loads((old / "dataset_info.json").read_text())
        info |= {"version": version, "fileFormat": file_format}
        (folder / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "mnist/incomplete.AB12_9.9.9").mkdir()
    (tmp_path / "mnist/incomplete.AB12_9.9.9/dataset_info.json").write_text("{")
    assert Tfds(str(tmp_path)).find(MNIST) == old.with_name("3.0.10")


def test_a_directory_of_tfrecord_gets_a_sentence_and_a_conversion(tmp_path, arrays):
    folder = write_tfds(tmp_path, "mnist", arrays, "tfrecord")
    reader = Tfds(str(tmp_path))
    command = f"python scripts/convert_tfds.py {folder}"
    assert f"`{command}`" in str(reader.absence(MNIST))
    with pytest.raises(UserError, match="is prepared as tfrecord") as caught:
        reader.load(MNIST)
    assert command in str(caught.value)
    result = run(*command.split()[1:])
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.split()) == 2
    write_idx(tmp_path / "idx", arrays)
    assert_same(reader.load(MNIST), Files(str(tmp_path / "idx")).load(MNIST))
    assert not list(folder.glob("partial.*"))


@pytest.mark.parametrize("keep", [0.47, 0.999])
def test_a_truncated_tfrecord_is_not_converted(tmp_path, arrays, keep):
    folder = write_tfds(tmp_path, "mnist", arrays, "tfrecord")
    shard = next(folder.glob("*test.tfrecord*"))
    shard.write_bytes(shard.read_bytes()[: int(shard.stat().st_size * keep)])
    before = (folder / "dataset_info.json").read_bytes()
    with pytest.raises(UserError, match=r"mnist-test.tfrecord-00000-of-00001 is truncated"):
        convert(folder)
    assert (folder / "dataset_info.json").read_bytes() == before
    assert not list(folder.glob("*array_record*"))


def test_a_tfrecord_that_lacks_records_is_not_converted(tmp_path, arrays):
    folder = write_tfds(tmp_path, "mnist", arrays, "tfrecord")
    next(folder.glob("*test.tfrecord*")).unlink()
    with pytest.raises(UserError, match="holds 40 records, not 60"):
        convert(folder)
    assert not list(folder.glob("*array_record*"))


@pytest.mark.parametrize("name", ["nothing/3.0.1", "mnist", "mnist/3.0.1"])
def test_only_tfrecord_is_converted(tmp_path, arrays, name):
    write_tfds(tmp_path, "mnist", arrays)
    with pytest.raises(UserError, match="no version prepared as TFRecord"):
        convert(tmp_path / name)


def truncate(path):
    path.write_bytes(path.read_bytes()[:70_000])


@pytest.mark.parametrize("damage", [Path.unlink, truncate, lambda path: path.write_bytes(b"")])
def test_a_damaged_shard_names_its_folder(tmp_path, arrays, damage):
    folder = write_tfds(tmp_path, "mnist", arrays)
    damage(next(folder.glob("*test.array_record*")))
    with pytest.raises(UserError, match=r"mnist/3.0.1 is incomplete or damaged .*prepare it again"):
        Tfds(str(tmp_path)).load(MNIST)


def test_a_damaged_description_is_named(tmp_path, arrays):
    folder = write_tfds(tmp_path, "mnist", arrays)
    (folder / "dataset_info.json").write_text('{"fileFormat": ')
    with pytest.raises(UserError, match=r"dataset_info.json is damaged"):
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


def test_without_a_format_a_folder_is_of_an_older_tfds(tmp_path, arrays):
    """Which wrote TFRecord, and did not say it."""
    write_tfds(tmp_path, "mnist", arrays)
    folder = tmp_path / "mnist/3.0.1"
    info = json.loads((folder / "dataset_info.json").read_text())
    del info["fileFormat"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    assert tfds.file_formats(folder) == ["tfrecord"]
    assert "is prepared as tfrecord" in str(Tfds(str(tmp_path)).absence(MNIST))


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', "null"])
def test_a_damaged_description_is_no_obstacle_to_other_sources(tmp_path, arrays, content):
    write_tfds(tmp_path, "mnist", arrays)
    (tmp_path / "mnist/3.0.1/dataset_info.json").write_text(content)
    assert "is damaged" in str(Tfds(str(tmp_path)).absence(MNIST))
    with pytest.raises(UserError, match="is damaged"):
        Tfds(str(tmp_path)).load(MNIST)
