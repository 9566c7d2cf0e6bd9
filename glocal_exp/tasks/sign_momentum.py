"""Steps by signs that gather speed while a sign holds."""

import optax

from glocal_exp.tasks.rules import Number


def sign_momentum(learning_rate: Number, momentum: Number) -> optax.GradientTransformation:
    """Gradient descent with heavy-ball momentum on the gradients' signs (sign(0) = 0).

    v <- momentum v + sign(g);  theta <- theta - learning_rate v, so that steps go from
    `learning_rate` to `learning_rate / (1 - momentum)` while a sign holds.
    """
    return optax.chain(
        optax.scale_by_sign(),
        optax.trace(decay=momentum),
        optax.scale_by_learning_rate(learning_rate),
    )
