import dataclasses
import json

import numpy as np
import pytest

from glocal_exp.data import split
from glocal_exp.errors import UserError
from tests.data.writers import KEYS, assembled


def data(order=None):
    return assembled(200, order)


def rows(part):
    return [(x.tobytes(), int(y)) for x, y in zip(part["x"], part["y"], strict=True)]


def test_the_parts_are_the_training_images_and_the_test_images():
    whole = data()
    splits = split(whole, 50, seed=0)
    assert [len(part["y"]) for part in (splits.train, splits.validation, splits.test)] == [
        150,
        50,
        20,
    ]
    together = rows(splits.train) + rows(splits.validation)
    assert sorted(together) == sorted(rows({"x": whole.train_images, "y": whole.train_labels}))
    assert len(set(together)) == 200
    assert rows(splits.test) == rows({"x": whole.test_images, "y": whole.test_labels})
    assert splits.train["x"].dtype == np.uint8
    assert splits.train["y"].dtype == np.int32


def test_the_split_depends_on_the_seed_and_on_nothing_else():
    one, same, other = (
        split(data(), 50, 0),
        split(data(np.random.default_rng(9).permutation(200)), 50, 0),
        split(data(), 50, 1),
    )
    assert rows(one.validation) == rows(same.validation)
    assert one.info["fingerprint"] == same.info["fingerprint"]
    assert rows(one.validation) != rows(other.validation)
    assert one.info["fingerprint"] != other.info["fingerprint"]


def test_a_larger_validation_part_contains_the_smaller():
    small_part, large_part = (set(rows(split(data(), size, 3).validation)) for size in (20, 60))
    assert small_part < large_part


def test_seeds_choose_independently():
    """Two parts of 50 of 200 share 12.5 images on average; 30 or none would be 6 deviations off."""
    parts = [set(rows(split(data(), 50, seed).validation)) for seed in range(10)]
    shared = [len(one & other) for i, one in enumerate(parts) for other in parts[:i]]
    assert 10 < np.mean(shared) < 15
    assert 0 < min(shared) <= max(shared) < 30


@pytest.mark.parametrize(("size", "count"), [(0.1, 20), (0.25, 50), (1, 1), (199, 199)])
def test_a_count_or_a_fraction(size, count):
    assert len(split(data(), size, 0).validation["y"]) == count


@pytest.mark.parametrize("size", [0, -1, 200, 201, 0.0, 0.001, 0.999, 1.0, -0.1, 1.5, float("nan")])
def test_a_size_that_leaves_nothing(size):
    with pytest.raises(UserError, match=r"validation.size=.*from 1 to 199"):
        split(data(), size, 0)


@pytest.mark.parametrize("size", [True, "10", None])
def test_a_size_that_is_no_number(size):
    with pytest.raises(UserError, match="is no number"):
        split(data(), size, 0)


def test_a_balanced_part_has_as_many_of_each_class():
    splits = split(data(), 50, seed=0, balanced=True)
    assert splits.info["class_counts"]["validation"] == [5] * 10
    assert splits.info["class_counts"]["train"] == [15] * 10
    assert rows(split(data(), 50, 1, balanced=True).validation) != rows(splits.validation)


@pytest.mark.parametrize(
    ("size", "sentence"), [(55, "multiple of 10"), (190, "one class has 18: set it to 180 at most")]
)
def test_a_size_that_cannot_be_balanced(size, sentence):
    whole = data()
    numbers = whole.train_labels.copy()
    numbers[np.flatnonzero(numbers == 3)[:2]] = 4
    with pytest.raises(UserError, match=sentence):
        split(dataclasses.replace(whole, train_labels=numbers), size, 0, balanced=True)


def test_the_fingerprint_sees_every_part():
    whole = data()
    fingerprints = {split(whole, 50, 0).info["fingerprint"]}
    for key in KEYS:
        changed = getattr(whole, key).copy()
        changed.reshape(-1)[5] ^= 1
        fingerprints.add(
            split(dataclasses.replace(whole, **{key: changed}), 50, 0).info["fingerprint"]
        )
    assert len(fingerprints) == 5


def test_the_mean_and_deviation_are_those_of_all_training_images():
    """Whatever the split, so that seeds see the same images."""
    whole = data()
    splits = split(whole, 50, 0)
    x = whole.train_images / 255
    np.testing.assert_allclose(splits.info["mean"], x.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(splits.info["std"], x.std(axis=(0, 1, 2)), rtol=1e-12)


def test_the_info_is_for_a_manifest():
    info = split(data(), 0.25, 0).info
    assert json.loads(json.dumps(info)) == info
    assert info["sizes"] == {"train": 150, "validation": 50, "test": 20}
    assert info["title"] == "MNIST"
    assert "/secret" not in json.dumps(info)
