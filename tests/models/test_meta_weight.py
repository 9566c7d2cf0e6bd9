"""The weight network against NumPy, and its size against the paper's."""

import jax
import numpy as np
import pytest

from glocal_exp.hypergrad import count
from glocal_exp.models.meta_weight import MetaWeight


@pytest.mark.parametrize("initializer", ["torch", "he_normal"])
def test_it_is_one_hidden_layer_of_relu_and_a_sigmoid(initializer):
    mu = MetaWeight(jax.random.key(0), hidden=7, initializer=initializer)
    (w1, b1), (w2, b2) = (map(np.asarray, layer) for layer in (mu.hidden, mu.out))
    losses = np.linspace(0, 9, 11)
    inner = np.maximum(losses[:, None] * w1[:, 0] + b1, 0) @ w2[0] + b2[0]
    np.testing.assert_allclose(mu(losses), 1 / (1 + np.exp(-inner)), rtol=1e-12)


def test_the_papers_has_385_parameters():
    assert count(MetaWeight(jax.random.key(0), hidden=128, initializer="torch")) == 385


def test_the_initializers_are_those_of_layers():
    """PyTorch's default bounds both layers by 1/sqrt(fan in): 1, and 1/sqrt(hidden)."""
    torch = MetaWeight(jax.random.key(0), hidden=400, initializer="torch")
    for leaf, bound in [(torch.hidden[0], 1), (torch.hidden[1], 1), (torch.out[0], 1 / 20)]:
        assert 0.97 * bound < np.abs(leaf).max() <= bound
    he = MetaWeight(jax.random.key(0), hidden=400, initializer="he_normal")
    # Variance 2 / fan in; five standard errors of a deviation of 400 numbers.
    for weight, deviation in [(he.hidden[0], np.sqrt(2)), (he.out[0], np.sqrt(2 / 400))]:
        assert np.std(weight) == pytest.approx(deviation, rel=5 / np.sqrt(800))
    assert not he.hidden[1].any()
