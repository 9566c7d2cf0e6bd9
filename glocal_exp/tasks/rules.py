"""Optimizer rules that optax does not have in the form that is needed."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

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


class Averaging(NamedTuple):
    """The rule's own state, the average, and how many iterates it is of."""

    inner: PyTree
    iterate_average: PyTree
    count: Int[Array, ""]


def averaging(
    rule: Callable[..., optax.GradientTransformation], over: int, **hyperparameters: Number
) -> optax.GradientTransformation:
    """A rule that beside its steps keeps an average of the iterates (Polyak and Juditsky 1992).

    Of the first `over` iterates it is the mean, then an exponential one of that horizon. Training
    is the rule's own; metrics of the average are recorded beside those of the iterate.
    """
    inner = rule(**hyperparameters)

    def init(params: PyTree) -> Averaging:
        return Averaging(inner.init(params), params, jnp.zeros((), int))

    def update(
        updates: PyTree, state: Any, params: PyTree | None = None
    ) -> tuple[PyTree, Averaging]:
        updates, own = inner.update(updates, state.inner, params)
        count = jnp.minimum(state.count + 1, over)
        average = jax.tree.map(
            lambda mean, now: mean + (now - mean) / count.astype(mean.dtype),
            state.iterate_average,
            optax.apply_updates(cast(PyTree, params), updates),
        )
        return updates, Averaging(own, average, count)

    return optax.GradientTransformation(init, update)


def mean_sign(learning_rate: Number, decay: Number) -> optax.GradientTransformation:
    """Steps along the exponential mean of the gradients' signs, corrected for its start at 0.

    m <- decay m + (1 - decay) sign(g);  theta <- theta - learning_rate m / (1 - decay^t).
    """
    return optax.chain(
        optax.scale_by_sign(),
        optax.ema(decay),
        optax.scale_by_learning_rate(learning_rate),
    )
