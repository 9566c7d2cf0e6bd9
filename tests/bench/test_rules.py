"""The rule with eight hyperparameters is SGD, tensor by tensor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.bench.rules import CHOICES, START, TENSORS, tuned_sgd
from glocal_exp.tasks.rules import sgd

PARAMS = [jnp.full(3, float(index + 1)) for index in range(TENSORS)]


def twice(rule):
    """Updates of a second step, by tensor."""
    state = rule.init(PARAMS)
    gradient = jax.tree.map(jnp.cos, PARAMS)
    _, state = rule.update(gradient, state, PARAMS)
    return rule.update(gradient, state, PARAMS)[0]


@pytest.mark.parametrize("q", CHOICES)
def test_at_the_start_all_are_the_same_sgd(q):
    rule, start = tuned_sgd(q)
    assert len(start) == q
    for mine, other in zip(twice(rule(**start)), twice(sgd(**START)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-14)


def test_each_tensor_follows_its_own_rate():
    rule, start = tuned_sgd(TENSORS)
    before, after = twice(rule(**start)), twice(rule(**start | {"rate5": 0.03}))
    ratios = [float((b / a)[0]) for a, b in zip(before, after, strict=True)]
    np.testing.assert_allclose(ratios, [1, 1, 1, 1, 1, 3, 1, 1], rtol=1e-14)


def test_another_number_is_refused():
    with pytest.raises(ValueError, match="q=5"):
        tuned_sgd(5)
