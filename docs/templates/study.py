"""A template: how far two seeds' batches overlap (glocal_exp/studies/<id>.py)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from glocal_exp.engine.batches import batch_indices
from glocal_exp.studies.lab import Lab, Measurement, Unit


@dataclass(frozen=True)
class Overlap:
    """Fields are config values: `study.sizes=[8,16]` sets this one.

    Attributes:
        sizes: of the batches.
    """

    sizes: list[int]
    trains: ClassVar[bool] = False  # whether the training setting (`lab.setting`) counts

    def units(self, lab: Lab) -> Iterable[Unit]:
        """The work, in pieces that are stored when done and never done again."""
        for size in self.sizes:
            yield Unit(f"size{size}", partial(self._measure, lab.seed, size))

    def _measure(self, seed: int, size: int) -> Measurement:
        one, other = (set(batch_indices(s, 100, size, 0, 1)[0]) for s in (seed, seed + 1))
        share = len(one & other) / size
        return Measurement([{"size": size, "share": share}], {"first": np.array(sorted(one))})
