"""Where data are found: the bundled part, the choice among sources, the configs that name them."""

import dataclasses
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from glocal_exp.data.bundled import Bundled
from glocal_exp.data.files import Files
from glocal_exp.data.source import Auto
from glocal_exp.data.tfds import Tfds
from glocal_exp.errors import UserError
from tests.data.tfds_writers import write_tfds
from tests.data.writers import CONFIGS, IDX_NAMES, small, spec, write_idx


def source(name, data_dir):
    path = None if data_dir is None else str(data_dir)
    root = OmegaConf.create(
        {"data_dir": path, "source": OmegaConf.load(CONFIGS / f"source/{name}.yaml")}
    )
    return instantiate(root.source)


class TestBundled:
    def test_it_is_small_balanced_and_called_what_it_is(self):
        data = Bundled().load(spec("fmnist"))
        assert np.bincount(data.train_labels).tolist() == [600] * 10
        assert np.bincount(data.test_labels).tolist() == [100] * 10
        assert not data.original
        assert data.notice == "Fashion-MNIST (embedded subset of 6,000 + 1,000 images)"
        found = data.title, data.source, list(data.files)
        assert found == ("Fashion-MNIST", "bundled", ["fmnist.npz"])

    def test_its_licence_lies_beside_it(self):
        folder = CONFIGS.parent / "glocal_exp/data/bundled"
        assert (folder / "fmnist.npz").stat().st_size < 5_000_000
        licence = " ".join((folder / "LICENSE.fmnist").read_text().split())
        assert "The MIT License (MIT) Copyright © 2017 Zalando SE" in licence
        assert "The above copyright notice and this permission notice shall be included" in licence

    def test_some_of_its_training_images_may_be_for_testing(self):
        whole, parted = Bundled().load(spec("fmnist")), Bundled(4000).load(spec("fmnist"))
        assert (len(parted.train_labels), len(parted.test_labels)) == (2000, 5000)

        def images(data):
            both = np.concatenate([data.train_images, data.test_images])
            return sorted(image.tobytes() for image in both)

        assert images(parted) == images(whole)
        assert {image.tobytes() for image in whole.test_images} <= {
            image.tobytes() for image in parted.test_images
        }
        assert np.bincount(parted.train_labels).min() > 150  # of 200, were it balanced
        assert parted.content != whole.content
        assert "4,000 of the training images for testing" in parted.notice
        with pytest.raises(UserError, match=r"source.more_test=6000 is not from 1 to 5,999"):
            Bundled(6000).load(spec("fmnist"))

    def test_no_other_data_set_is_embedded(self):
        assert Bundled().absence(spec("mnist")) == "MNIST is not embedded"
        with pytest.raises(UserError, match="MNIST is not embedded: use source=files"):
            Bundled().load(spec("mnist"))


class TestAuto:
    def test_files_come_first(self, tmp_path):
        write_idx(tmp_path / "fmnist", small((28, 28, 1)))
        write_tfds(tmp_path, "fashion_mnist", small((28, 28, 1)))
        data = source("auto", tmp_path).load(spec("fmnist"))
        assert (data.source, data.skipped, data.place) == ("files", (), str(tmp_path / "fmnist"))

    def test_then_tfds(self, tmp_path):
        write_tfds(tmp_path, "fashion_mnist", small((28, 28, 1), n=50))
        data = source("auto", tmp_path).load(spec("fmnist"))
        assert (data.source, len(data.train_labels)) == ("tfds", 50)
        assert data.skipped[0].startswith(f"files: {tmp_path} holds no train-images")

    def test_then_the_bundled_one(self, tmp_path):
        data = source("auto", tmp_path).load(spec("fmnist"))
        assert data.source == "bundled"
        assert [reason.split(":")[0] for reason in data.skipped] == ["files", "tfds"]

    @pytest.mark.parametrize("data_dir", [None, ""])  # a variable may be set to nothing
    def test_without_a_data_directory(self, data_dir, monkeypatch, tmp_path):
        monkeypatch.chdir(write_idx(tmp_path, small((28, 28, 1))))
        data = source("auto", data_dir).load(spec("fmnist"))
        assert data.source == "bundled"
        assert data.skipped[0] == "files: neither data_dir nor GLOCAL_DATA_DIR is set"

    @pytest.mark.parametrize("name", ["mnist", "kmnist", "cifar10", "cifar100"])
    def test_nowhere(self, tmp_path, name):
        wanted = spec(name)
        with pytest.raises(
            UserError, match=rf"^{wanted.title} was not found \(files: .*; tfds: .*\)"
        ) as e:
            source("auto", tmp_path).load(wanted)
        assert "source=tfds" in str(e.value)
        assert source("auto", tmp_path).absence(wanted).startswith(f"files: {tmp_path} holds no ")

    def test_damaged_files_are_not_passed_over(self, tmp_path):
        write_idx(tmp_path, small((28, 28, 1)))
        (tmp_path / f"{IDX_NAMES[2]}.gz").unlink()
        with pytest.raises(UserError, match=f"lacks {IDX_NAMES[2]}"):
            source("auto", tmp_path).load(spec("fmnist"))


@pytest.mark.parametrize("name", ["auto", "files", "tfds"])
@pytest.mark.parametrize("dataset", ["fmnist", "cifar10"])
@pytest.mark.parametrize("data_dir", ["/nowhere", "~nobody.of.this.name/nowhere"])
def test_a_missing_data_directory(name, dataset, data_dir):
    with pytest.raises(UserError, match=r"data_dir=.*nowhere cannot be read \(No such file"):
        source(name, data_dir).load(spec(dataset))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not read")
@pytest.mark.parametrize("name", ["auto", "files"])
@pytest.mark.parametrize("dataset", ["fmnist", "cifar10"])
def test_a_folder_that_is_closed_to_the_user(name, dataset):
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own are closed to others
        os.chmod(open_to_all, 0o755)
        os.mkdir(f"{open_to_all}/{dataset}", 0o600)
        reader, wanted = source(name, open_to_all), spec(dataset)
        os.seteuid(65534)
        try:
            with pytest.raises(UserError, match=rf"{dataset}.* cannot be read \(Permission denied"):
                reader.load(wanted)
        finally:
            os.seteuid(0)


def test_a_file_for_a_data_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be read \(Not a directory\)"):
        source("files", tmp_path / "file").load(spec("mnist"))


def test_files_without_a_data_directory():
    with pytest.raises(UserError, match="GLOCAL_DATA_DIR"):
        source("files", None).load(spec("mnist"))


def test_the_configs_name_the_sources():
    expected = {"auto": Auto, "files": Files, "tfds": Tfds, "bundled": Bundled}
    for name, kind in expected.items():
        made = source(name, "somewhere")
        assert isinstance(made, kind)
        assert made.name == name
    assert [one.name for one in source("auto", "somewhere").sources] == ["files", "tfds", "bundled"]


def test_a_new_idx_data_set_is_one_description(tmp_path):
    """What a YAML of one's own says is enough; here the letters of EMNIST with their file names."""
    names = {
        f"{part}_{kind}": f"emnist-letters-{part}-{kind}-idx{dimensions}-ubyte"
        for part in ("train", "test")
        for kind, dimensions in (("images", 3), ("labels", 1))
    }
    described = {
        "_target_": "glocal_exp.data.DatasetSpec",
        "_convert_": "all",
        "name": "letters",
        "title": "EMNIST letters",
        "num_classes": 26,
        "image_shape": [28, 28, 1],
        "format": {"_target_": "glocal_exp.data.idx.IdxFiles", "folders": ["emnist"], **names},
    }
    letters = instantiate(OmegaConf.create(described))
    folder = write_idx(tmp_path / "EMNIST", small((28, 28, 1), classes=26, n=52, m=26))
    for name, own in zip(IDX_NAMES, names.values(), strict=True):
        (folder / f"{name}.gz").rename(folder / f"{own}.gz")
    data = Files(str(tmp_path)).load(letters)
    assert np.bincount(data.train_labels).tolist() == [2] * 26
    assert (data.title, data.notice, data.original) == ("EMNIST letters", "", True)


def test_reading_needs_neither_jax_nor_tensorflow_nor_tfds():
    program = (
        "import sys, glocal_exp.data.files, glocal_exp.data.idx, glocal_exp.data.cifar,"
        " glocal_exp.data.bundled, glocal_exp.data.tfds;"
        "print(*{'jax', 'tensorflow', 'tensorflow_datasets', 'array_record'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program]).split() == []


def test_specs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(spec("mnist"), "name", "other")  # noqa: B010
