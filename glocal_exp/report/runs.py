"""A stored run with its records, as figures and tables ask for it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.errors import UserError
from glocal_exp.koopman import Spectrum
from glocal_exp.store import StoredRun, find_runs


@dataclass(frozen=True)
class Run:
    """A stored run with its records."""

    stored: StoredRun
    # the label in legends and tables; `local_every` is local with every h_t, and a tuning-free
    # optimizer has its task's name
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
        return bool(self.metrics["diverged"].any())

    def last(self, column: str) -> float:
        """The last measured value of a column of the records; NaN if there is none."""
        values = self.column(column)
        measured = values[np.isfinite(values)]
        return float(measured[-1]) if measured.size else float("nan")

    def total(self, column: str) -> float:
        """The sum of a column of the records; NaN if there is none."""
        return float(np.sum(self.column(column)))

    def column(self, name: str) -> Float[np.ndarray, " n"]:
        """A column of the records; NaN if there is none."""
        return self.metrics.reindex(columns=[name])[name].to_numpy(float)

    def curve(self, column: str) -> pd.Series:
        """A column by training step up to the first diverged record, as far as it was measured."""
        kept: Any = self.metrics[~self.metrics["diverged"].cummax()].set_index("step")
        return kept.reindex(columns=[column])[column].dropna()

    def intervals(self) -> dict[int, dict[str, np.ndarray]]:
        """The stored arrays by outer step and name."""
        found: dict[int, dict[str, np.ndarray]] = defaultdict(dict)
        for key, array in self.stored.arrays().items():
            step, _, name = key.partition("/")
            found[int(step.removeprefix("s"))][name] = array
        return found

    @property
    def data(self) -> Mapping[str, Any]:
        """The manifest's part about the data set."""
        return self.stored.manifest.get("data") or {}

    def images(self, split: str) -> int | None:
        """The number of images in `train`, `validation` or `test`."""
        return (self.data.get("sizes") or {}).get(split)

    @property
    def gradient_images(self) -> int | None:
        """The number of validation images that a hypergradient uses."""
        subset = self.stored.value("validation.subset")
        return int(subset) if subset else self.images("validation")


def readable(root: Path, experiment: str) -> list[StoredRun]:
    """What is stored of an experiment, of whatever source, but for damaged runs."""
    stored = find_runs(root, {"experiment": experiment}, check_source=False)
    return [run for run in stored if not run.damage]


def read(stored: Sequence[StoredRun]) -> tuple[list[Run], list[str]]:
    """Those that have a record, and sentences about those that cannot be read."""
    runs, notes = [], []
    for one in stored:
        if one.damage:
            notes.append(f"Left out: {one.method} seed {one.seed}, damaged ({one.damage}).")
            continue
        try:
            metrics, _ = one.metrics(), one.config
        except UserError as error:
            notes.append(f"Left out: {error}.")
            continue
        if len(metrics):
            runs.append(Run(one, _label(one, metrics.iloc[-1]), metrics))
    return runs, notes


def _label(run: StoredRun, last: Any) -> str:
    """What it is called: by its task if it has none but an optimizer that needs no tuning."""
    if run.method == "local" and last["validation_gradients"] > 1.5 * last["outer_step"] > 0:
        return "local_every"
    if run.method == "none" and str(run.value("task._target_")).endswith(".FixedOptimizer"):
        return str(run.value("choices.task"))
    return run.method


def stored_spectrum(arrays: Mapping[str, np.ndarray], stride: int = 1) -> Spectrum:
    """That of one interval, from what a run stores of it."""
    modes, (length, size) = arrays["modes"], arrays["trajectory"].shape
    snapshots = length - modes.shape[0] // size + 1
    return Spectrum(arrays["eigenvalues"], modes, arrays["amplitudes"], size, snapshots, stride)
