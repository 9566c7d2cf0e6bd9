import gzip
import struct

import numpy as np
import pytest

from glocal_exp.data.files import Files
from glocal_exp.errors import UserError
from tests.data.writers import IDX_NAMES, idx, small, spec, write_idx

FMNIST = spec("fmnist")


@pytest.fixture
def arrays():
    return small((28, 28, 1))


def pairs(images, labels):
    """Images with their labels, whatever their order."""
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def load(folder):
    return Files(str(folder)).load(FMNIST)


@pytest.mark.parametrize(
    "template",
    [
        "{}.gz",
        "{}",
        "{}.idx",
        "{}.idx.gz",
    ],
)
@pytest.mark.parametrize(
    "folder",
    [".", "fashion_mnist", "fashion-mnist", "FashionMNIST", "fmnist", "FashionMNIST/raw", "raw"],
)
def test_files_are_found_under_their_usual_names(tmp_path, arrays, folder, template):
    write_idx(tmp_path / folder, arrays, template)
    data = load(tmp_path)
    for part in ("train", "test"):
        expected = pairs(arrays[f"{part}_images"], arrays[f"{part}_labels"])
        assert pairs(getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")) == expected
    assert (data.train_images.dtype, data.train_labels.dtype) == (np.uint8, np.int32)
    assert data.train_images.shape == (40, 28, 28, 1)


def test_the_name_with_a_dot_that_some_unpackers_give(tmp_path, arrays):
    write_idx(tmp_path, arrays, "{}")
    for name in IDX_NAMES:
        (tmp_path / name).rename(tmp_path / name.replace("-idx", ".idx"))
    assert len(load(tmp_path).train_labels) == 40


def test_unpacked_content_under_the_name_of_the_compressed_file(tmp_path, arrays):
    write_idx(tmp_path, arrays, "{}")
    for name in IDX_NAMES:
        (tmp_path / name).rename(tmp_path / f"{name}.gz")
    assert len(load(tmp_path).train_labels) == 40


def test_the_named_folder_wins_over_files_beside_it(tmp_path, arrays):
    write_idx(tmp_path, small((28, 28, 1), n=30))
    write_idx(tmp_path / "fashion_mnist", arrays)
    assert len(load(tmp_path).train_labels) == 40


def damaged(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.0005])
@pytest.mark.parametrize("template", ["{}", "{}.gz"])
@pytest.mark.parametrize("name", IDX_NAMES)
def test_a_truncated_file_is_named(tmp_path, arrays, name, template, keep):
    write_idx(tmp_path, arrays, template)
    path = tmp_path / template.format(name)
    damaged(path, lambda content: content[: int(len(content) * keep)])
    with pytest.raises(UserError, match=name) as caught:
        load(tmp_path)
    assert "put the original file there" in str(caught.value)


def test_a_checksum_error_of_gzip(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    path = tmp_path / f"{IDX_NAMES[0]}.gz"
    damaged(path, lambda content: content[:-8] + bytes(4) + content[-4:])
    with pytest.raises(UserError, match=rf"{IDX_NAMES[0]}.*damaged.*CRC"):
        load(tmp_path)


@pytest.mark.parametrize("name", IDX_NAMES)
def test_a_missing_file_is_named(tmp_path, arrays, name):
    write_idx(tmp_path, arrays)
    (tmp_path / f"{name}.gz").unlink()
    with pytest.raises(UserError, match=f"lacks {name}.gz"):
        load(tmp_path)


def test_labels_under_the_name_of_images(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    images, labels = (tmp_path / f"{name}.gz" for name in IDX_NAMES[:2])
    images.write_bytes(labels.read_bytes())
    with pytest.raises(UserError, match=f"{images.name} holds labels, not images"):
        load(tmp_path)


def test_images_under_the_name_of_labels(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    images, labels = (tmp_path / f"{name}.gz" for name in IDX_NAMES[2:])
    labels.write_bytes(images.read_bytes())
    with pytest.raises(UserError, match=f"{labels.name} holds images, not labels"):
        load(tmp_path)


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
    with pytest.raises(UserError, match=rf"(?s){sentence}") as caught:
        load(tmp_path)
    assert IDX_NAMES[0] in str(caught.value)


def test_a_label_out_of_range(tmp_path, arrays):
    arrays["test_labels"][7] = 10
    write_idx(tmp_path, arrays)
    with pytest.raises(UserError, match=r"label is 10 in .*t10k-labels.*from 0 to 9"):
        load(tmp_path)


def test_an_empty_data_set(tmp_path, arrays):
    arrays["test_labels"], arrays["test_images"] = (
        arrays[key][:0] for key in ("test_labels", "test_images")
    )
    write_idx(tmp_path, arrays)
    with pytest.raises(UserError, match=r"no images in .*t10k"):
        load(tmp_path)


def test_every_sentence_is_one_sentence(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    (tmp_path / f"{IDX_NAMES[1]}.gz").write_bytes(gzip.compress(b"nonsense"))
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert ". " not in text
