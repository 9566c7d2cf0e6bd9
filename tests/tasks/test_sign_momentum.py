import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.tasks.sign_momentum import sign_momentum


@pytest.mark.parametrize("size", [1e-9, 1.0, 67.0])
def test_steps_grow_while_a_sign_holds_whatever_the_sizes(size):
    """By hand: v = 1, 1 + 0.7, 0.7 1.7 - 1, 0.7 0.19, and theta falls by a tenth of it."""
    rule = sign_momentum(learning_rate=0.1, momentum=0.7)
    params = jnp.zeros(())
    state = rule.init(params)
    for gradient, expected in zip(
        (size, size / 3, -5 * size, 0.0), (-0.1, -0.27, -0.289, -0.3023), strict=True
    ):
        updates, state = rule.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(np.asarray(params), expected, rtol=1e-14)
