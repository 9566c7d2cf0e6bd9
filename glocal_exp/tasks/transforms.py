"""Maps between unconstrained hyperparameters and their natural units."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Transform:
    """An increasing map from the real line onto an open range."""

    # unconstrained to natural units, differentiable
    forward: Callable[[Float[Array, ""]], Float[Array, ""]]
    inverse: Callable[[float], float]  # the natural starting value to unconstrained
    low: float  # lower end of the range, excluded
    high: float  # upper end, excluded


TRANSFORMS = {
    # paper, section 4.1: the logistic sigmoid limits the hyperparameters' ranges to (0, 1)
    "sigmoid": Transform(jax.nn.sigmoid, lambda value: math.log(value) - math.log1p(-value), 0, 1),
    "exp": Transform(jnp.exp, math.log, 0, math.inf),
    "identity": Transform(lambda value: value, float, -math.inf, math.inf),
}


def start(name: str, value: float, transform: str) -> float:
    """The unconstrained starting value of hyperparameter `name`.

    Raises:
        UserError: for an unknown transform, or a value outside of its open range.
    """
    if transform not in TRANSFORMS:
        raise UserError(
            f"task.transform of {name} is {transform!r}; choose one of {', '.join(TRANSFORMS)}."
        )
    rule = TRANSFORMS[transform]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"task.init.{name} is {value!r}; give a number.")
    if not rule.low < value < rule.high:
        raise UserError(
            f"task.init.{name}={value} is outside of the open range ({rule.low}, {rule.high}) that "
            f"the {transform} can reach; start strictly inside of it, for example just above "
            f"{rule.low} or just below {rule.high}."
        )
    return rule.inverse(value)
