"""Several seeds as one program's arrays: a leading axis of seeds."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def stack(trees: list[PyTree]) -> PyTree:
    """Trees of the same structure as one, with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: PyTree, number: int) -> list[PyTree]:
    """The inverse of `stack`."""
    return [jax.tree.map(lambda leaf: leaf[index], tree) for index in range(number)]  # noqa: B023
