import gzip
import struct

import numpy as np
import pytest

from glocal_exp.data.files import Files
from tests.data.writers import (
    IDX_NAMES,
    assert_holds,
    assert_refused,
    idx,
    small,
    spec,
    truncate,
    write_idx,
)

FMNIST = spec("fmnist")


def load(folder):
    return Files(str(folder)).load(FMNIST)


@pytest.mark.parametrize("template", ["{}.gz", "{}", "{}.idx", "{}.idx.gz"])
@pytest.mark.parametrize(
    "folder",
    [".", "fashion_mnist", "fashion-mnist", "FashionMNIST", "fmnist", "FashionMNIST/raw", "raw"],
)
def test_files_are_found_under_their_usual_names(tmp_path, arrays, folder, template):
    write_idx(tmp_path / folder, arrays, template)
    data = load(tmp_path)
    assert_holds(data, arrays)
    assert (data.train_images.dtype, data.train_labels.dtype) == (np.uint8, np.int32)
    assert data.train_images.shape == (40, 28, 28, 1)


@pytest.mark.parametrize(("old", "new"), [("-idx", ".idx"), ("ubyte", "ubyte.gz")])
def test_names_that_some_unpackers_and_browsers_give(tmp_path, arrays, old, new):
    write_idx(tmp_path, arrays, "{}")
    for name in IDX_NAMES:
        (tmp_path / name).rename(tmp_path / name.replace(old, new))
    assert_holds(load(tmp_path), arrays)


def test_the_named_folder_wins_over_files_beside_it(tmp_path, arrays):
    write_idx(tmp_path, small((28, 28, 1), n=30))
    write_idx(tmp_path / "fashion_mnist", arrays)
    assert len(load(tmp_path).train_labels) == 40


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.0005])
@pytest.mark.parametrize("template", ["{}", "{}.gz"])
@pytest.mark.parametrize("name", IDX_NAMES)
def test_a_truncated_file_is_named(tmp_path, arrays, name, template, keep):
    write_idx(tmp_path, arrays, template)
    path = tmp_path / template.format(name)
    truncate(path, keep)
    assert_refused(tmp_path, FMNIST, name, "put the original file there")


def test_a_checksum_error_of_gzip(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    path = tmp_path / f"{IDX_NAMES[0]}.gz"
    content = path.read_bytes()
    path.write_bytes(content[:-8] + bytes(4) + content[-4:])
    assert_refused(tmp_path, FMNIST, rf"{IDX_NAMES[0]}.*damaged.*CRC")


@pytest.mark.parametrize("name", IDX_NAMES)
def test_a_missing_file_is_named(tmp_path, arrays, name):
    write_idx(tmp_path, arrays)
    (tmp_path / f"{name}.gz").unlink()
    assert_refused(tmp_path, FMNIST, f"lacks {name}.gz")


@pytest.mark.parametrize(
    ("true", "wrong", "kinds"),
    [
        (IDX_NAMES[1], IDX_NAMES[0], "labels, not images"),
        (IDX_NAMES[2], IDX_NAMES[3], "images, not labels"),
    ],
)
def test_one_kind_under_the_name_of_the_other(tmp_path, arrays, true, wrong, kinds):
    write_idx(tmp_path, arrays)
    (tmp_path / f"{wrong}.gz").write_bytes((tmp_path / f"{true}.gz").read_bytes())
    assert_refused(tmp_path, FMNIST, f"{wrong}.gz holds {kinds}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "no IDX file of bytes .*0x3c21444f"),
        (struct.pack(">BBBBI", 0, 0, 13, 1, 40) + bytes(160), "no IDX file of bytes"),
        (b"", "no IDX file of bytes"),
        (b"\0\0\x08\x03\0\0", "ends inside its header"),
        (idx(np.zeros((40, 28, 28), np.uint8)) + b"!", "longer than its header says"),
        (idx(np.zeros((40, 32, 32), np.uint8)), "32 x 32 x 1, not 28 x 28 x 1"),
        (idx(np.zeros((41, 28, 28), np.uint8)), "41 images but 40 labels"),
        (idx(np.zeros((40, 28, 28, 1), np.uint8)), "an array of 4 dimensions, not images"),
    ],
)
def test_wrong_content_under_the_right_name(tmp_path, arrays, content, sentence):
    write_idx(tmp_path, arrays, "{}")
    (tmp_path / IDX_NAMES[0]).write_bytes(content)
    assert_refused(tmp_path, FMNIST, sentence, IDX_NAMES[0])


def test_a_label_out_of_range(tmp_path, arrays):
    arrays["test_labels"][7] = 10
    write_idx(tmp_path, arrays)
    assert_refused(tmp_path, FMNIST, r"label is 10 in .*t10k-labels.*from 0 to 9")


def test_an_empty_data_set(tmp_path, arrays):
    empty = {key: array[:0] for key, array in arrays.items() if key.startswith("test")}
    write_idx(tmp_path, arrays | empty)
    assert_refused(tmp_path, FMNIST, r"no images in .*t10k")


def test_nonsense_in_gzip(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    (tmp_path / f"{IDX_NAMES[1]}.gz").write_bytes(gzip.compress(b"nonsense"))
    assert_refused(tmp_path, FMNIST, f"{IDX_NAMES[1]}.gz is no IDX file of bytes")
