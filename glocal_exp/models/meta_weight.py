"""The weight of an example by its loss: the small network that the reweighting task learns."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.models.initializers import Initializer, initialize


class MetaWeight(eqx.Module):
    """mu: a loss to a weight in (0, 1), by one hidden layer of ReLU (Shu et al. 2019).

    It has 3 `hidden` + 1 parameters, 385 with the paper's 128. Weight matrices are (out, in).
    """

    hidden: tuple[Array, Array]
    out: tuple[Array, Array]

    def __init__(self, key: PRNGKeyArray, *, hidden: int, initializer: Initializer):
        first, second = jax.random.split(key)
        self.hidden = initialize(first, (hidden, 1), initializer, 0.0)
        self.out = initialize(second, (1, hidden), initializer, 0.0)

    def __call__(self, losses: Float[Array, " n"]) -> Float[Array, " n"]:
        """The weight of each of `losses`."""
        weight, bias = self.hidden
        hidden = jax.nn.relu(losses[:, None] * weight[:, 0] + bias)
        weight, bias = self.out
        return jax.nn.sigmoid(hidden @ weight[0] + bias[0])
