"""Hyperparameters that take several values in a training, one after another."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from glocal_exp.errors import UserError
from glocal_exp.types import (
    Batch,
    Hyperparams,
    InnerProblem,
    InnerState,
    Named,
    Scalar,
    Stepped,
)


class InPeriods(InnerProblem):
    """A problem some of whose hyperparameters change at set steps of the training.

    Step t, from 0, has the value floor(n t / T) of n. These are a leading axis of the leaf.
    """

    problem: InnerProblem  # whose they are
    # n by the leaf's name; 1 of those not named
    counts: tuple[tuple[str, int], ...] = eqx.field(static=True)
    steps: int = eqx.field(static=True)  # T

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        state, phi = self.problem.init(key)
        return state, self._each(phi, lambda leaf, count: jnp.stack([leaf] * count))

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> Stepped:
        return self.problem.step(state, self._at(phi, state.step), batch, key)

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Scalar:
        """With the values of the newest step."""
        return self.problem.meta_loss(state, self._at(phi, state.step - 1), batch)

    def inner_loss(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Scalar:
        return self.problem.inner_loss(state, self._at(phi, state.step), batch, key)

    def metrics(self, state: InnerState, batch: Batch) -> Named:
        return self.problem.metrics(state, batch)

    def summarize(self, means: Named) -> Named:
        return self.problem.summarize(means)

    def describe(self, phi: Hyperparams) -> Named:
        """As many rows as the longest has values, but of what has one value that one."""
        rows = max(count for _, count in self.counts)
        steps = [-(-row * self.steps // rows) for row in range(rows)]
        each = [self.problem.describe(self._at(phi, jnp.asarray(step))) for step in steps]
        kept = {name for name, _ in _named(phi)} - {name for name, _ in self.counts}
        return {
            name: value if name in kept else jnp.stack([row[name] for row in each])
            for name, value in each[0].items()
        }

    def _at(self, phi: Hyperparams, step: Int[Array, ""]) -> Hyperparams:
        place = jnp.clip(step, 0, self.steps - 1)
        return self._each(phi, lambda leaf, count: leaf[place * count // self.steps])

    def _each(self, phi: Hyperparams, function: Callable[[Array, int], Array]) -> Hyperparams:
        counts, structure = dict(self.counts), jax.tree.structure(phi)
        changed = [function(x, counts[name]) if name in counts else x for name, x in _named(phi)]
        return jax.tree.unflatten(structure, changed)


def in_periods(problem: InnerProblem, counts: Mapping[str, int], steps: int) -> InnerProblem:
    """The problem with so many values of its hyperparameters, by name.

    Raises:
        UserError: for more values than steps.
    """
    several = {name: count for name, count in counts.items() if count > 1}
    for name, count in several.items():
        if count > steps:
            raise UserError(
                f"method.periods.{name}={count} is more than steps={steps}; lower it, or train "
                "for longer."
            )
    return InPeriods(problem, tuple(several.items()), steps) if several else problem


def _named(phi: Hyperparams) -> list[tuple[str, Array]]:
    """The leaves with their names, as `hypergrad.forward.names` has them."""
    leaves = jax.tree_util.tree_leaves_with_path(phi)
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/") or "phi", leaf)
        for path, leaf in leaves
    ]
