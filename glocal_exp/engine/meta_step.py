"""The hyperparameters' step along an estimated hypergradient, taken only where it stays finite."""

import time
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.methods.method import Estimate


class MetaStep:
    """One update of the hyperparameters by the meta optimizer.

    Attributes:
        compile_seconds: time spent compiling so far.
    """

    def __init__(self, optimizer: optax.GradientTransformation):
        self.init = optimizer.init
        self._update = jax.jit(_update(optimizer))
        self._compiled: dict[tuple, Callable] = {}
        self.compile_seconds = 0.0

    def __call__(self, snapshot: Snapshot, estimate: Estimate) -> tuple[Snapshot, bool]:
        """The snapshot after the update, and whether there was one to take that is finite.

        An estimate that float64 can hold may still overflow the hyperparameters' float32, or a
        moment of the meta optimizer, and either would stay that way for good.
        """
        h = estimate.hypergradient
        if h is None or not np.isfinite(h).all():
            return snapshot, False
        flat, unravel = ravel_pytree(snapshot.phi)
        # An overflow shows in the result, which is looked at next.
        with np.errstate(over="ignore"):
            gradient = unravel(jnp.asarray(np.asarray(h, flat.dtype)))
        arguments = (gradient, snapshot.meta_state, snapshot.phi)
        phi, meta_state = self._compile(arguments)(*arguments)
        if _overflows((snapshot.phi, snapshot.meta_state), (phi, meta_state)):
            return snapshot, False
        return replace(snapshot, phi=phi, meta_state=meta_state), True

    def _compile(self, arguments: tuple) -> Callable:
        leaves, structure = jax.tree.flatten(arguments)
        signature = (structure, tuple((jnp.shape(leaf), leaf.dtype) for leaf in leaves))
        if signature not in self._compiled:
            start = time.perf_counter()
            self._compiled[signature] = self._update.lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - start
        return self._compiled[signature]


def _update(optimizer: optax.GradientTransformation) -> Callable:
    def update(gradient, meta_state, phi):
        updates, meta_state = optimizer.update(gradient, meta_state, phi)
        return optax.apply_updates(phi, updates), meta_state

    return update


def _overflows(old: PyTree, new: PyTree) -> bool:
    """Whether anything that was finite no longer is; some optimizers start from an infinity."""
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    return any(bool((jnp.isfinite(a) & ~jnp.isfinite(b)).any()) for a, b in pairs)
