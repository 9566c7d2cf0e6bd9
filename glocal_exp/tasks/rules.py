"""Optimizer rules that optax does not have in the form that is needed."""

import optax
from jaxtyping import Array, Float

Number = float | Float[Array, ""]


def sgd(
    learning_rate: Number, momentum: Number = 0.0, weight_decay: Number = 0.0
) -> optax.GradientTransformation:
    """SGD with heavy-ball momentum; weight decay joins the gradient before momentum.

    v <- momentum v + (g + weight_decay theta);  theta <- theta - learning_rate v, as PyTorch's SGD.
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.trace(decay=momentum),
        optax.scale_by_learning_rate(learning_rate),
    )


def cosine_sgd(
    learning_rate: float, steps: int, momentum: float, weight_decay: float
) -> optax.GradientTransformation:
    """`sgd` with a learning rate that falls to 0 along half a cosine in so many steps."""
    schedule = optax.cosine_decay_schedule(learning_rate, steps)
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.trace(decay=momentum),
        optax.scale_by_learning_rate(schedule),
    )


def mean_sign(learning_rate: Number, decay: Number) -> optax.GradientTransformation:
    """Steps along the exponential mean of the gradients' signs, corrected for its start at 0.

    m <- decay m + (1 - decay) sign(g);  theta <- theta - learning_rate m / (1 - decay^t).
    """
    return optax.chain(
        optax.scale_by_sign(),
        optax.ema(decay),
        optax.scale_by_learning_rate(learning_rate),
    )
