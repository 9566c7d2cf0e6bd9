"""The examples of all seeds, on the device."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp

from glocal_exp.engine.batches import batch_indices
from glocal_exp.engine.compiled import stack
from glocal_exp.types import Batch


class Splits(eqx.Module):
    """The examples of one seed: trees of arrays that share their leading axis.

    Of several seeds side by side: with an axis of them in front.

    Attributes:
        train: what the inner steps see.
        validation: what the validation metrics are taken on.
        test: what the test metrics are taken on, if anything.
        meta: what hypergradients are taken on; all of `validation` if None.
    """

    train: Batch
    validation: Batch
    test: Batch | None = None
    meta: Batch | None = None

    @property
    def for_hypergradients(self) -> Batch:
        """What the meta loss is differentiated on."""
        return self.validation if self.meta is None else self.meta


class Examples:
    """Every seed's data, and the batches that its steps see.

    Raises:
        UserError: when a batch is larger than a training set.
    """

    def __init__(self, splits: Mapping[int, Splits], batch_size: int):
        self._batch_size, self._order = batch_size, 0
        self._sizes = {seed: len(jax.tree.leaves(s.train)[0]) for seed, s in splits.items()}
        for seed in splits:
            self._indices(seed, 0, 1)
        self._data = {seed: jax.tree.map(jnp.asarray, s) for seed, s in splits.items()}
        self._stacked: tuple[tuple[int, ...], Splits] | None = None

    def data(self, seeds: Sequence[int]) -> Splits:
        """The data of `seeds`, with a leading axis of them if there are several."""
        if len(seeds) == 1:
            return self._data[seeds[0]]
        if self._stacked is None or self._stacked[0] != tuple(seeds):
            self._stacked = tuple(seeds), stack([self._data[seed] for seed in seeds])
        return self._stacked[1]

    def varied(self, *, order: int, meta: int | None) -> "Examples":
        """The same without test examples, with the batches of another seed so far away.

        Hypergradients are of the first `meta` validation examples, or of all.
        """
        other = copy(self)
        other._order, other._stacked = order, None
        for seed, data in self._data.items():
            part = None if meta is None else jax.tree.map(lambda x: x[:meta], data.validation)
            other._data = {**other._data, seed: replace(data, test=None, meta=part)}
        return other

    def indices(self, seed: int, start: int, count: int) -> jax.Array:
        """The batches of `count` steps from `start` on, (count, batch_size)."""
        return jnp.asarray(self._indices(seed, start, count))

    def _indices(self, seed: int, start: int, count: int):
        size = self._sizes[seed]
        return batch_indices(seed + self._order, size, self._batch_size, start, count)
