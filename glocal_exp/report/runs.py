"""A stored run with its records, as figures and tables ask for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.errors import UserError
from glocal_exp.report.curves import diverged_mask
from glocal_exp.store import StoredRun


@dataclass(frozen=True)
class Run:
    """A stored run with its records.

    Attributes:
        method: the label in legends and tables; `local_every` is local with every h_t.
        metrics: its interval records.
    """

    stored: StoredRun
    method: str
    metrics: pd.DataFrame = field(repr=False)

    @property
    def seed(self) -> int:
        return self.stored.seed

    @property
    def steps(self) -> int:
        return int(self.stored.column("steps") or 0)

    @property
    def finished(self) -> bool:
        """Came to its end, even if by older source."""
        return self.stored.manifest.get("status") == "complete"

    @property
    def diverged(self) -> bool:
        return bool(diverged_mask(self.metrics).any())

    def last(self, column: str) -> float:
        """The last measured value of a column of the records; NaN if there is none."""
        values = self.column(column)
        measured = values[np.isfinite(values)]
        return float(measured[-1]) if measured.size else float("nan")

    def total(self, column: str) -> float:
        """The sum of a column of the records; NaN if there is none."""
        return float(np.sum(self.column(column))) if column in self.metrics else float("nan")

    def column(self, name: str) -> Float[np.ndarray, " n"]:
        """A column of the records; empty if there is none."""
        return self.metrics[name].to_numpy(float) if name in self.metrics else np.empty(0)

    @property
    def data(self) -> Mapping[str, Any]:
        """The manifest's part about the data set."""
        return self.stored.manifest.get("data") or {}

    def images(self, split: str) -> int | None:
        """The number of images in `train`, `validation` or `test`."""
        sizes = self.data.get("sizes")
        found = sizes.get(split) if isinstance(sizes, Mapping) else self.data.get(f"{split}_size")
        if found is None and split == "validation":
            found = self.stored.value("validation.size")
        return int(found) if found is not None and found >= 1 else None

    @property
    def gradient_images(self) -> int | None:
        """The number of validation images that a hypergradient uses."""
        subset = self.stored.value("validation.subset")
        return int(subset) if subset else self.images("validation")


def method_label(run: StoredRun, metrics: pd.DataFrame) -> str:
    """The method's name, but `local_every` for local with more than one h_t an interval."""
    if run.method == "local" and "validation_gradients" in metrics and len(metrics):
        last = metrics.iloc[-1]
        if last["outer_step"] > 0 and last["validation_gradients"] > 1.5 * last["outer_step"]:
            return "local_every"
    return run.method


def read(stored: Sequence[StoredRun]) -> tuple[list[Run], list[str]]:
    """Those that have a record, and sentences about those that cannot be read."""
    runs, notes = [], []
    for one in stored:
        try:
            metrics, _ = one.metrics(), one.config
        except UserError as error:
            notes.append(f"Left out: {error}.")
            continue
        if len(metrics):
            runs.append(Run(one, method_label(one, metrics), metrics))
    return runs, notes
