import dataclasses
import pickle
import tarfile

import numpy as np
import pytest

from glocal_exp.data.files import Files
from glocal_exp.data.tfds import Tfds
from tests.data.tfds_writers import write_tfds
from tests.data.writers import (
    CIFAR10_TRAIN,
    assert_holds,
    assert_refused,
    cifar10_batches,
    cifar100_batches,
    python2_pickle,
    small,
    spec,
    truncate,
    write_archive,
    write_cifar,
)

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
CIFAR10, CIFAR100 = spec("cifar10"), spec("cifar100")


@pytest.fixture
def ten():
    return small((32, 32, 3))


@pytest.fixture
def hundred():
    return small((32, 32, 3), classes=100, n=200, m=100)


def test_colours_are_planes_of_a_row(tmp_path, ten):
    """Pixel (row, column) of plane c lies at 1024 c + 32 row + column, as CIFAR's page says."""
    batches = cifar10_batches(ten)
    batches["test_batch"][b"data"][:] = np.arange(3072) % 251
    write_cifar(tmp_path, batches)
    image = Files(str(tmp_path)).load(CIFAR10).test_images[0]
    for channel, row, column in ((0, 0, 1), (1, 5, 7), (2, 31, 30)):
        assert image[row, column, channel] == (1024 * channel + 32 * row + column) % 251


@pytest.mark.parametrize(
    "folder", [".", "cifar-10-batches-py", "cifar10", "CIFAR10/cifar-10-batches-py"]
)
def test_cifar10_folders(tmp_path, ten, folder):
    write_cifar(tmp_path / folder, cifar10_batches(ten))
    data = Files(str(tmp_path)).load(CIFAR10)
    assert_holds(data, ten)
    assert (data.train_images.shape, data.train_images.dtype) == ((40, 32, 32, 3), np.uint8)
    assert not data.original
    assert data.notice == "CIFAR-10 (not the original files)"


def test_cifar100_has_its_fine_labels(tmp_path, hundred):
    write_cifar(tmp_path / "cifar-100-python", cifar100_batches(hundred))
    assert_holds(Files(str(tmp_path)).load(CIFAR100), hundred)


@pytest.mark.parametrize("container", ["folder", "archive", "tfds"])
def test_the_pixels_and_labels_alone_make_the_original(tmp_path, hundred, container):
    """Not file names inside, nor the protocol of a pickle, nor whether there is one."""
    batches = cifar100_batches(hundred)
    for name, batch in batches.items():
        batch[b"filenames"] = [f"other_{i}.png".encode() for i in range(len(batch[b"data"]))]
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=4))
    found = Files(str(tmp_path)).load(CIFAR100)
    assert (found.original, found.notice) == (False, "CIFAR-100 (not the original files)")
    wanted = dataclasses.replace(CIFAR100, contents={found.content: "CIFAR-100"})
    place = tmp_path / "elsewhere"
    if container == "tfds":
        write_tfds(place, "cifar100", hundred)
    elif container == "archive":
        write_archive(place / "cifar-100-python.tar.gz", tmp_path, "cifar-100-python")
    source = {
        "folder": Files(str(tmp_path)),
        "archive": Files(str(place)),
        "tfds": Tfds(str(place)),
    }
    data = source[container].load(wanted)
    assert (data.original, data.notice, data.recognised_by) == (True, "", "content")
    batches["test"][b"fine_labels"][7] ^= 1
    write_cifar(tmp_path, batches)
    changed = Files(str(tmp_path)).load(wanted)
    assert (changed.original, changed.notice) == (False, "CIFAR-100 (not the original files)")


@pytest.mark.parametrize("folder", [".", "cifar10"])
def test_the_archive_is_read_where_it_is(tmp_path, ten, folder):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    write_archive(tmp_path / "data" / folder / ARCHIVE, unpacked, FOLDER)
    before = sorted((tmp_path / "data").rglob("*"))
    assert_holds(Files(str(tmp_path / "data")).load(CIFAR10), ten)
    assert sorted((tmp_path / "data").rglob("*")) == before


@pytest.mark.parametrize("keep", [0.98, 0.5, 0.0])
def test_a_truncated_archive_is_named(tmp_path, ten, keep):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    archive = write_archive(tmp_path / "data" / ARCHIVE, unpacked, FOLDER)
    truncate(archive, keep)
    assert_refused(archive.parent, CIFAR10, f"{ARCHIVE} is truncated or damaged")


def test_a_link_in_an_archive_is_not_followed(tmp_path, ten):
    write_cifar(tmp_path / "secret", cifar10_batches(ten))
    archive = tmp_path / "data" / ARCHIVE
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name in (*CIFAR10_TRAIN, "test_batch"):
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / "secret" / name)
            tar.addfile(member)
    assert_refused(archive.parent, CIFAR10, f"lacks {FOLDER}/data_batch_1")


@pytest.mark.parametrize("name", [*CIFAR10_TRAIN, "test_batch"])
def test_a_missing_batch_is_named(tmp_path, ten, name):
    write_cifar(tmp_path, cifar10_batches(ten))
    (tmp_path / name).unlink()
    assert_refused(tmp_path, CIFAR10, f"lacks {name}")


@pytest.mark.parametrize("keep", [0.999, 0.6, 0.01, 0.0])
def test_a_truncated_batch_is_named(tmp_path, ten, keep):
    write_cifar(tmp_path, cifar10_batches(ten))
    truncate(tmp_path / "data_batch_3", keep)
    assert_refused(tmp_path, CIFAR10, "data_batch_3 is truncated or damaged")


def changed(batch, **changes):
    return {**batch, **{key.encode(): value for key, value in changes.items()}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": [0] * 7}, "8 images but 7 labels"),
        ({"labels": [0] * 7 + [10]}, "label is 10 .*from 0 to 9"),
        ({"labels": [0] * 7 + [-1]}, "label is -1"),
        ({"labels": [0.5] * 8}, "no list of integers"),
        ({"labels": b"01234567"}, "no list of integers"),
        ({"data": np.zeros((8, 3071), np.uint8)}, "rows of 3,072 bytes"),
        ({"data": np.zeros((8, 3072), np.int32)}, "rows of 3,072 bytes"),
        ({"data": [1, 2, 3]}, "rows of 3,072 bytes"),
        ({"data": np.zeros((0, 3072), np.uint8), "labels": []}, "no images"),
    ],
)
def test_a_wrong_batch_is_named(tmp_path, ten, changes, sentence):
    batches = cifar10_batches(ten)
    batches["data_batch_2"] = changed(batches["data_batch_2"], **changes)
    write_cifar(tmp_path, batches)
    assert_refused(tmp_path, CIFAR10, sentence, "data_batch_2")


def test_labels_may_be_an_array(tmp_path, ten):
    batches = cifar10_batches(ten)
    for batch in batches.values():
        batch[b"labels"] = np.asarray(batch[b"labels"])
    write_cifar(tmp_path, batches)
    assert_holds(Files(str(tmp_path)).load(CIFAR10), ten)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("test_batch", "data_batch_4 calls itself 'testing batch 1 of 1'"),
        ("data_batch_1", "same batch as data_batch_1 and as data_batch_4"),
    ],
)
def test_another_batch_under_the_name_of_the_fourth(tmp_path, ten, name, sentence):
    batches = cifar10_batches(ten)
    batches["data_batch_4"] = batches[name]
    write_cifar(tmp_path, batches)
    assert_refused(tmp_path, CIFAR10, sentence)


def test_cifar100_under_the_names_of_cifar10(tmp_path, hundred):
    batch = cifar100_batches(hundred)["train"]
    write_cifar(tmp_path, dict.fromkeys([*CIFAR10_TRAIN, "test_batch"], batch))
    assert_refused(tmp_path, CIFAR10, r"data_batch_1 holds no 'labels' .*'fine_labels'")


def test_a_pickle_that_is_no_batch(tmp_path, ten):
    write_cifar(tmp_path, cifar10_batches(ten))
    (tmp_path / "data_batch_5").write_bytes(python2_pickle([1, 2, 3]))
    assert_refused(tmp_path, CIFAR10, r"data_batch_5 was refused .*holds a list")
