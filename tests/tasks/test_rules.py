import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.tasks.rules import averaging, sgd


@pytest.mark.parametrize(
    ("rate", "momentum", "decay"), [(0.1, 0.9, 0.01), (0.3, 0.0, 0.2), (0.05, 0.5, 0.0)]
)
def test_sgd_is_that_of_pytorch(rate, momentum, decay):
    """d = g + decay theta; v = momentum v + d (v = d at first); theta = theta - rate v."""
    gradients = np.random.default_rng(0).normal(size=(6, 4))
    theta, velocity = np.arange(1.0, 5.0), np.zeros(4)
    params = jnp.asarray(theta)
    rule = sgd(learning_rate=rate, momentum=momentum, weight_decay=decay)
    state = rule.init(params)
    for gradient in gradients:
        velocity = momentum * velocity + gradient + decay * theta
        theta = theta - rate * velocity
        updates, state = rule.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(
            np.asarray(params), theta, rtol=1e-14
        )  # the same float64 operations


def test_weight_decay_joins_before_momentum():
    """Two steps without a gradient: the first step's decay goes on in the velocity."""
    rule = sgd(learning_rate=1.0, momentum=0.5, weight_decay=0.1)
    params, state = jnp.ones(1), sgd(1.0, 0.5, 0.1).init(jnp.ones(1))
    for expected in (0.9, 0.9 - (0.05 + 0.09)):
        updates, state = rule.update(jnp.zeros(1), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(np.asarray(params), expected, rtol=1e-14)


def test_an_average_is_kept_beside_the_iterates():
    """The mean of the first three, then the newest counts a third; steps are the rule's own."""
    gradients = np.random.default_rng(1).normal(size=(5, 2))
    settings = {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.01}
    plain, averaged = sgd(**settings), averaging(sgd, 3, **settings)
    params = other = jnp.ones(2)
    state, kept = plain.init(params), averaged.init(other)
    iterates = []
    for gradient in gradients:
        updates, state = plain.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        updates, kept = averaged.update(jnp.asarray(gradient), kept, other)
        other = optax.apply_updates(other, updates)
        np.testing.assert_array_equal(other, params)
        iterates.append(np.asarray(params))
    expected = np.mean(iterates[:3], axis=0)
    for iterate in iterates[3:]:
        expected = expected * 2 / 3 + iterate / 3
    np.testing.assert_allclose(kept.iterate_average, expected, rtol=1e-14)
