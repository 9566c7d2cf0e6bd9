import dataclasses
import gzip
import hashlib
import itertools

import numpy as np
import pytest
import yaml

from glocal_exp.data.checksums import assemble, canonical, content_digest, file_check, moments
from glocal_exp.data.source import FileCheck, RawImages
from glocal_exp.errors import UserError
from tests.data.writers import CONFIGS, idx, images, labels, small, spec

PLAIN = dataclasses.replace(spec("kmnist"), format=None, contents={})


def raw(arrays, files=None):
    return RawImages(**arrays, files=files or {})


def shuffled(arrays, seed):
    generator = np.random.default_rng(seed)
    result = {}
    for part in ("train", "test"):
        order = generator.permutation(len(arrays[f"{part}_labels"]))
        result |= {key: value[order] for key, value in arrays.items() if key.startswith(part)}
    return result


def digest(arrays):
    return assemble(PLAIN, raw(arrays), "files", "here").content


def test_the_order_does_not_depend_on_the_order_of_the_source():
    arrays = small((28, 28, 1))
    arrays["train_images"][3] = arrays["train_images"][5]  # twins with different labels
    arrays["train_labels"][[3, 5]] = 1, 2
    arrays["train_images"][7], arrays["train_labels"][7] = arrays["train_images"][9], 4
    arrays["train_labels"][9] = 4  # and with the same
    one = assemble(PLAIN, raw(arrays), "files", "here")
    two = assemble(PLAIN, raw(shuffled(arrays, 5)), "tfds", "there")
    assert one.content == two.content
    for key in arrays:
        np.testing.assert_array_equal(getattr(one, key), getattr(two, key))
    assert not np.array_equal(one.train_images, arrays["train_images"])


def test_images_keep_their_labels():
    pictures, numbers = images(50, (4, 4, 3), 0), labels(50, 10, 1)
    pictures[:, 0, 0, 0] = numbers
    ordered, ordered_numbers, _ = canonical(pictures, numbers)
    np.testing.assert_array_equal(ordered[:, 0, 0, 0], ordered_numbers)


def test_the_order_is_that_of_the_hashes():
    pictures, numbers = images(9, (2, 2, 1), 0), labels(9, 3, 1)
    ordered, ordered_numbers, _ = canonical(pictures, numbers)
    keys = [
        hashlib.blake2b(picture.tobytes() + bytes([number, 0, 0, 0]), digest_size=16).digest()
        for picture, number in zip(ordered, ordered_numbers, strict=True)
    ]
    assert keys == sorted(keys)


def test_the_digest_sees_every_change():
    arrays = small((28, 28, 1))
    variants = [arrays]
    for key in arrays:
        changed = {name: value.copy() for name, value in arrays.items()}
        changed[key].reshape(-1)[11] ^= 1
        variants.append(changed)
    swapped = {
        "train_images": arrays["test_images"],
        "train_labels": arrays["test_labels"],
        "test_images": arrays["train_images"],
        "test_labels": arrays["train_labels"],
    }
    digests = [digest(variant) for variant in [*variants, swapped]]
    assert len(set(digests)) == len(digests)


def test_the_digest_of_nothing_is_that_of_two_counts():
    empty = np.zeros((0, 2), np.uint64)
    assert content_digest(empty, empty) == hashlib.sha256(bytes(16)).hexdigest()[:32]


def test_moments_are_those_of_float64():
    pictures = images(4_100, (5, 3, 3), 0)
    mean, std = moments(pictures)
    np.testing.assert_allclose(mean, pictures.mean(axis=(0, 1, 2), dtype=float), rtol=1e-13)
    np.testing.assert_allclose(std, pictures.astype(float).std(axis=(0, 1, 2)), rtol=1e-11)


CONTENT, STORED = b"content", gzip.compress(b"content")
MD5 = hashlib.md5(CONTENT).hexdigest()
STORED_MD5 = hashlib.md5(STORED).hexdigest()


@pytest.mark.parametrize(
    ("published", "original"),
    [
        ({"a": MD5}, True),
        ({"a": "0" * 32}, False),
        ({"a.gz": STORED_MD5}, True),
        ({"a.gz": "0" * 32}, None),  # compressed again: the content may still be the original
        ({}, None),
    ],
)
def test_a_file_is_known_by_the_md5_of_its_content_or_of_its_compressed_form(published, original):
    assert file_check("a.gz", CONTENT, STORED, published) == FileCheck(MD5, original)


def test_the_md5_of_the_compressed_form_says_nothing_of_an_uncompressed_file():
    assert file_check("a", CONTENT, CONTENT, {"a.gz": STORED_MD5}) == FileCheck(MD5, None)


def test_a_known_file_under_another_known_name_is_refused():
    with pytest.raises(UserError, match=r"a\.gz is in truth b"):
        file_check("a.gz", CONTENT, STORED, {"a": "0" * 32, "b": MD5})


def recognised(files=None, **changes):
    arrays = small((28, 28, 1))
    data = assemble(dataclasses.replace(PLAIN, **changes), raw(arrays, files), "files", "FOLDER")
    return data.original, data.notice


def test_the_verdict_by_content_beats_all_others():
    content = digest(small((28, 28, 1)))
    known = {"file": FileCheck("md5", False)}
    assert recognised(known, contents={content: "KMNIST"}) == (True, "")
    copy = "KMNIST (half of it)"
    assert recognised({"file": FileCheck("md5", True)}, contents={content: copy}) == (False, copy)
    with pytest.raises(UserError, match="FOLDER holds MNIST, not KMNIST"):
        recognised(contents={content: "MNIST"})


def test_the_verdict_by_files():
    good, bad, unknown = (FileCheck("md5", verdict) for verdict in (True, False, None))
    files = {"format": spec("kmnist").format}
    assert recognised({"a": good, "b": good}, **files) == (True, "")
    assert recognised({"a": good, "b": bad}, **files) == (False, "KMNIST (not the original files)")
    unverified = (False, "KMNIST (not verified as the original)")
    assert recognised({"a": good, "b": unknown}, **files) == unverified
    assert recognised({}, **files) == unverified


def test_without_any_published_number_nothing_is_claimed():
    assert recognised({"a": FileCheck("md5", None)}) == (True, "")


def test_known_contents_have_one_name_in_all_descriptions():
    known: dict[str, set[str]] = {}
    for path in CONFIGS.glob("dataset/*.yaml"):
        for content, title in yaml.safe_load(path.read_text()).get("contents", {}).items():
            known.setdefault(content, set()).add(title)
    assert {len(titles) for titles in known.values()} == {1}


def test_idx_writer_writes_the_published_header():
    assert idx(np.zeros((2, 28, 28), np.uint8))[:16].hex() == "00000803000000020000001c0000001c"


def test_specs_cover_what_users_can_type():
    files = CONFIGS.glob("dataset/*.yaml")  # the others change one of these
    names = {path.stem for path in files if "@package" not in path.read_text()}
    assert {"mnist", "kmnist", "fmnist", "cifar10", "cifar100"} <= names
    for name, other in itertools.pairwise(sorted(names)):
        assert spec(name).name != spec(other).name
