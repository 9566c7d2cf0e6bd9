import numpy as np
import pytest

from glocal_exp.engine.batches import batch_indices
from glocal_exp.errors import UserError


def test_every_epoch_is_a_fresh_permutation_without_its_remainder():
    epochs = batch_indices(seed=3, examples=23, batch_size=5, start=0, count=12).reshape(3, 20)
    for epoch in epochs:
        assert len(set(epoch)) == 20
        assert set(epoch) <= set(range(23))
    assert len({epoch.tobytes() for epoch in epochs}) == 3
    # What is dropped is not always the same: it would never be trained on.
    assert len({frozenset(range(23)) - frozenset(epoch) for epoch in epochs}) == 3


def test_an_epoch_is_shuffled_evenly():
    """Where example 0 lands in 400 epochs of 4: binomial, 100 expected each, sigma 8.7."""
    epochs = batch_indices(seed=0, examples=4, batch_size=4, start=0, count=400)
    places = np.bincount(np.argmax(epochs == 0, axis=1), minlength=4)
    assert np.all(np.abs(places - 100) < 35)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (3, 2), (4, 4), (11, 9), (39, 1)])
def test_any_stretch_is_part_of_the_whole(start, count):
    whole = batch_indices(1, 23, 5, 0, 40)
    np.testing.assert_array_equal(batch_indices(1, 23, 5, start, count), whole[start:][:count])


def test_seeds_differ():
    assert (batch_indices(0, 50, 10, 0, 5) != batch_indices(1, 50, 10, 0, 5)).mean() > 0.9


def test_a_batch_may_be_the_whole_training_set_but_not_more():
    assert sorted(batch_indices(0, 7, 7, 5, 1)[0]) == list(range(7))
    with pytest.raises(UserError, match="batch_size=8 is larger than the 7 training examples"):
        batch_indices(0, 7, 8, 0, 1)


@pytest.mark.parametrize(
    ("arguments", "indices"),
    [
        ((0, 7, 3, 0, 5), [[2, 4, 3], [6, 5, 0], [1, 3, 6], [0, 4, 2], [5, 2, 0]]),
        (
            (3, 1000, 4, 498, 4),
            [[862, 143, 424, 488], [827, 955, 406, 531], [983, 19, 269, 795], [441, 744, 631, 821]],
        ),
        ((4294967295, 60_000, 4, 1_000_000, 1), [[42024, 49334, 29513, 28958]]),
    ],
)
def test_batches_are_what_stored_runs_were_trained_on(arguments, indices):
    """NumPy may change its streams between versions, and every stored run would be a stranger."""
    assert batch_indices(*arguments).tolist() == indices
