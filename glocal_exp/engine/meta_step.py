"""The hyperparameters' step along an estimated hypergradient, taken only where it stays finite."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.engine.compiled import Programs
from glocal_exp.methods.method import Estimate


@dataclass(frozen=True)
class MetaStep:
    """One update of the hyperparameters by the meta optimizer."""

    optimizer: optax.GradientTransformation
    programs: Programs

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
        old = (snapshot.phi, snapshot.meta_state)
        arguments = {0: (gradient, *old)}
        new = self.programs.call("meta_step", self._update, arguments, static=self.optimizer)
        phi, meta_state = new[0]
        if _overflows(old, (phi, meta_state)):
            return snapshot, False
        return replace(snapshot, phi=phi, meta_state=meta_state), True

    def _update(self, gradient: PyTree, phi: PyTree, meta_state: PyTree) -> tuple[PyTree, PyTree]:
        updates, meta_state = self.optimizer.update(gradient, meta_state, phi)
        return optax.apply_updates(phi, updates), meta_state


def _overflows(old: PyTree, new: PyTree) -> bool:
    """Whether anything that was finite no longer is; some optimizers start from an infinity."""
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    return any(bool((jnp.isfinite(a) & ~jnp.isfinite(b)).any()) for a, b in pairs)
