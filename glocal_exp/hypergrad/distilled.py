"""One product in place of a sweep back: hypergradient distillation (Lee et al. 2022).

Of h_t the part through the state is a sum over all steps before, alpha A_t ... A_{i+1} B_i with
A = d Theta / d x, B = d Theta / d phi and alpha the meta loss's gradient by x_t. Were every A gamma
times the identity, it were that of B at the states' discounted mean, but for the length; so

    h_t = d loss / d phi + theta (1 - gamma^t) / (1 - gamma) alpha B(x*_t),
    x*_t = p_t x*_{t-1} + (1 - p_t) x_{t-1},        p_t = (gamma - gamma^t) / (1 - gamma^t),

with theta fitted to sweeps back (Algorithm 4). x is the whole state, the inner optimizer's too; B
is taken on the step's own batch.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from glocal_exp.hypergrad.reverse import train_ahead
from glocal_exp.types import Hyperparams, InnerState, Scalar, Stepped

Step = Callable[[InnerState, Hyperparams, PyTree], Stepped]


def discounted_mean(mean: PyTree, state: InnerState, count: Int[Array, ""], gamma: float) -> PyTree:
    """x*_t from x*_{t-1} and x_{t-1}, with t the count."""
    kept = (gamma - gamma**count) / (1 - gamma**count)
    return _between(eqx.filter(state, eqx.is_inexact_array), mean, kept)


def horizon(count: Int[Array, ""], gamma: float) -> Scalar:
    """(1 - gamma^t) / (1 - gamma): so many steps are what the past comes to."""
    return (1 - gamma**count) / (1 - gamma)


def pull(
    step: Step,
    state: InnerState,
    phi: Hyperparams,
    point: PyTree,
    chosen: PyTree,
    cotangent: PyTree,
) -> tuple[PyTree, Float[Array, " q"]]:
    """A cotangent times A and times B, of a step from a state with other numbers in it."""
    inputs = jax.tree.map(lambda leaf: leaf[None], chosen)
    *_, back = train_ahead(step, eqx.combine(point, state), phi, inputs)
    by_state, by_phi = back(cotangent)
    return by_state, ravel_pytree(by_phi)[0]


def fit(
    step: Step,
    state: InnerState,
    phi: Hyperparams,
    inputs: PyTree,
    gradient: Callable[[InnerState], PyTree],
    gamma: float,
) -> Scalar:
    """theta, by least squares over horizons of 1 to n steps, from training ahead along n inputs.

    What is true of each horizon is taken from a sweep back along the straight line from the first
    to the last state (DrMAD, Fu et al. 2016), as the paper does; states are kept for the means.

    Args:
        gradient: of the meta loss, by the inexact leaves of a state.
    """

    def ahead(state: InnerState, chosen: PyTree) -> tuple[InnerState, InnerState]:
        return step(state, phi, chosen)[0], state

    end, states = jax.lax.scan(ahead, state, inputs)
    first, last = (eqx.filter(x, eqx.is_inexact_array) for x in (state, end))
    alpha, steps = gradient(end), len(jax.tree.leaves(inputs)[0])

    def back(carried: tuple, inputs: tuple) -> tuple[tuple, tuple[Array, Array]]:
        (cotangent, total, mean), (place, before, chosen) = carried, inputs
        line = _between(first, last, place / steps)
        cotangent, by_phi = pull(step, before, phi, line, chosen, cotangent)
        total, count = total + by_phi, steps - place
        kept = (1 - gamma ** (count - 1)) / (1 - gamma**count)
        mean = _between(eqx.filter(before, eqx.is_inexact_array), mean, kept)
        product = pull(step, before, phi, mean, chosen, alpha)[1]
        size = jnp.linalg.norm(product)
        along = product @ total / jnp.where(size > 0, size, 1)
        return (cotangent, total, mean), (size * horizon(count, gamma), along)

    start = alpha, jnp.zeros_like(ravel_pytree(phi)[0]), first
    along_steps = (jnp.arange(steps), states, inputs)
    _, (x, y) = jax.lax.scan(back, start, along_steps, reverse=True)
    return jnp.where(x @ x > 0, x @ y / jnp.where(x @ x > 0, x @ x, 1), 1.0)


def _between(a: PyTree, b: PyTree, share: Scalar) -> PyTree:
    """The point on the line from a to b."""
    return jax.tree.map(lambda x, y: ((1 - share) * x + share * y).astype(x.dtype), a, b)
