import dataclasses

import numpy as np
import pytest

from glocal_exp.data import split
from glocal_exp.data.imbalance import LongTail
from glocal_exp.errors import UserError
from tests.data.writers import assembled


def data(imbalance, order=None):
    return assembled(2000, order, imbalance)


def counts(labels):
    return np.bincount(labels, minlength=10).tolist()


@pytest.mark.parametrize(
    ("factor", "largest", "classes", "first", "last", "total"),
    [
        # Cui et al. 2019 at C = 10: 5,000 ... 50, 12,406 images in all
        (100, 5000, 10, 5000, 50, 12_406),
        (200, 5000, 10, 5000, 25, 11_203),
        (50, 5000, 10, 5000, 100, 13_996),
        (10, 5000, 10, 5000, 500, 20_431),
        # 1,000 balanced images held out first
        (100, 4900, 10, 4900, 49, 12_156),
        # CIFAR-100: 500 a class, 490 once 1,000 are held out
        (100, 500, 100, 500, 5, 10_847),
        (100, 490, 100, 490, 4, 10_626),
    ],
)
def test_published_counts(factor, largest, classes, first, last, total):
    found = LongTail(factor).counts(largest, classes)
    assert (found[0], found[-1], sum(found)) == (first, last, total)
    assert found == sorted(found, reverse=True)


def test_the_paper_s_exponent_keeps_more_of_the_last_class():
    """f^(-c / C): the last of ten classes has 100^-0.9, not 100^-1."""
    found = LongTail(100, "paper").counts(5000, 10)
    assert (found[0], found[1], found[-1]) == (5000, 3154, 79)


def test_the_training_part_is_thinned_out_after_the_hold_out():
    whole = split(data(None), 100, seed=1, balanced=True)
    thinned = split(data(LongTail(10)), 100, seed=1, balanced=True)
    assert counts(thinned.train["y"]) == LongTail(10).counts(190, 10)
    assert thinned.info["class_counts"]["train"] == counts(thinned.train["y"])
    for part in ("validation", "test"):
        for name in ("x", "y"):
            np.testing.assert_array_equal(getattr(thinned, part)[name], getattr(whole, part)[name])
    assert counts(thinned.validation["y"]) == [10] * 10
    rows = {x.tobytes() for x in whole.train["x"]}
    assert {x.tobytes() for x in thinned.train["x"]} < rows


def test_the_choice_depends_on_the_seed_and_not_on_the_source():
    order = np.random.default_rng(5).permutation(2000)
    one, same = (split(data(LongTail(20), order=o), 100, 0, True) for o in (None, order))
    other = split(data(LongTail(20)), 100, 1, True)
    assert one.info["fingerprint"] == same.info["fingerprint"] != other.info["fingerprint"]


def test_a_larger_factor_keeps_some_of_the_same_images():
    parts = [
        {x.tobytes() for x in split(data(LongTail(f)), 100, 0, True).train["x"]} for f in (50, 5, 1)
    ]
    assert parts[0] < parts[1] < parts[2]
    assert len(parts[2]) == 1900


def test_captions_say_so():
    info = split(data(LongTail(50)), 100, 0, True).info
    assert info["title"] == "MNIST, long-tailed (imbalance factor 50)"
    copy = dataclasses.replace(data(LongTail(50)), notice="MNIST (half of it)")
    notice = split(copy, 100, 0, True).info["notice"]
    assert notice == "MNIST (half of it), long-tailed (imbalance factor 50)"


@pytest.mark.parametrize("factor", [0.5, 0, -3, float("inf"), float("nan")])
def test_a_factor_that_is_none(factor):
    with pytest.raises(UserError, match=r"dataset.imbalance.factor=.* is not at least 1"):
        LongTail(factor)


def test_a_class_without_images_is_refused():
    with pytest.raises(UserError, match=r"factor=500 leaves no image .* smallest class has 190"):
        split(data(LongTail(500)), 100, 0, True)
