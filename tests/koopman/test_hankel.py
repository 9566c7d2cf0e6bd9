import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.koopman.hankel import delay_embedding


@pytest.mark.parametrize(
    ("steps", "size", "delays"), [(80, 3, 10), (7, 1, 3), (5, 4, 1), (6, 2, 5)]
)
def test_every_entry_is_the_delayed_hypergradient(steps, size, delays):
    trajectory = np.random.default_rng(0).standard_normal((steps, size))
    embedded = delay_embedding(trajectory, delays)
    assert embedded.shape == (delays * size, steps - delays + 1)
    for column in range(embedded.shape[1]):
        for block in range(delays):
            rows = slice(block * size, (block + 1) * size)
            assert np.array_equal(embedded[rows, column], trajectory[column + block])


def test_paper_size_has_71_columns():
    assert delay_embedding(np.zeros((80, 3)), 10).shape == (30, 71)


def test_result_is_float64_and_independent_of_the_input():
    trajectory = np.ones((6, 2), dtype=np.float32)
    embedded = delay_embedding(trajectory, 2)
    embedded[0, 0] = 7
    assert embedded.dtype == np.float64
    assert np.all(trajectory == 1)
    assert np.count_nonzero(embedded == 7) == 1


def test_other_memory_orders_give_the_same():
    trajectory = np.random.default_rng(1).standard_normal((12, 3))
    expected = delay_embedding(trajectory, 4)
    assert np.array_equal(delay_embedding(np.asfortranarray(trajectory), 4), expected)
    assert np.array_equal(delay_embedding(np.repeat(trajectory, 2, axis=0)[::2], 4), expected)


@pytest.mark.parametrize("delays", [0, -1, 10, 11])
def test_delays_that_leave_no_transition_are_refused(delays):
    with pytest.raises(UserError, match="delays"):
        delay_embedding(np.zeros((10, 2)), delays)


@pytest.mark.parametrize("shape", [(10,), (10, 0), (2, 3, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UserError, match="one row per step"):
        delay_embedding(np.zeros(shape), 2)
