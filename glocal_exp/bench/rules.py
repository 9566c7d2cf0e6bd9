"""SGD with as many learnable hyperparameters as a benchmark asks for."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from glocal_exp.tasks.rules import Number, sgd

START = {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 5e-4}  # configs/task/sgd.yaml
TENSORS = 8
"""Parameter tensors of LeNet: the weight and the bias of each layer."""
CHOICES = (1, 2, 3, TENSORS)


def tuned_sgd(q: int) -> tuple[Callable[..., optax.GradientTransformation], dict[str, float]]:
    """A rule with q hyperparameters, and where they start, in natural units and in their order.

    One is the learning rate, two and three add momentum and weight decay; with eight, each
    parameter tensor has a learning rate of its own.

    Raises:
        ValueError: for another q.
    """
    if q not in CHOICES:
        raise ValueError(f"q={q} is none of {CHOICES}")
    if q == TENSORS:
        fixed = {name: START[name] for name in ("momentum", "weight_decay")}
        return partial(per_tensor_sgd, **fixed), {
            f"rate{index}": START["learning_rate"] for index in range(TENSORS)
        }
    names = list(START)
    fixed = {name: START[name] for name in names[q:]}
    return partial(sgd, **fixed), {name: START[name] for name in names[:q]}


def per_tensor_sgd(
    momentum: Number, weight_decay: Number, **rates: Number
) -> optax.GradientTransformation:
    """`sgd` with a learning rate for each parameter tensor: `rate0` for the tree's first leaf."""

    def scale(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        leaves, structure = jax.tree.flatten(updates)
        scaled = [-rates[f"rate{index}"] * leaf for index, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, scaled), state

    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.trace(decay=momentum),
        optax.GradientTransformation(lambda params: optax.EmptyState(), scale),
    )
