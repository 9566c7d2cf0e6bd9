"""Which examples each training step sees: a pure function of seed and step."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from glocal_exp.errors import UserError


def batch_indices(
    seed: int, examples: int, batch_size: int, start: int, count: int
) -> Int[np.ndarray, "count batch"]:
    """Indices of the batches of steps start, ..., start + count - 1.

    Every epoch is a fresh permutation; its remainder is dropped. The same seed gives the same
    batches in the same order to every method.

    Raises:
        UserError: when a batch is larger than the training set.
    """
    per_epoch = examples // batch_size
    if per_epoch == 0:
        raise UserError(
            f"batch_size={batch_size} is larger than the {examples} training examples; lower it."
        )
    steps = np.arange(start, start + count)
    rows = [
        _epoch(seed, epoch, examples)[place * batch_size : (place + 1) * batch_size]
        for epoch, place in zip(steps // per_epoch, steps % per_epoch, strict=True)
    ]
    return np.stack(rows)


@lru_cache(maxsize=16)
def _epoch(seed: int, epoch: int, examples: int) -> Int[np.ndarray, " examples"]:
    return np.random.default_rng([seed, epoch]).permutation(examples).astype(np.int32)
