"""Units of stored studies, measured again with the present source."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.app.compose import jobs
from glocal_exp.app.study import prepared
from glocal_exp.store.load import current_source
from glocal_exp.store.seal import intact_manifest
from glocal_exp.store.status import stored_status
from glocal_exp.store.studies import study_directories, unit_arrays, unit_rows, whole_units
from glocal_exp.studies.lab import Measurement


def outdated_studies(root: Path) -> list[tuple[tuple[str, str], list[Path]]]:
    """By stored and present source hash, the whole studies that are of older source."""
    chosen: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for folder in study_directories(root):
        manifest = intact_manifest(folder)
        current, ended = current_source(manifest), manifest.get("status") == "complete"
        if current and ended and stored_status(folder, source_hash=current) == "stale":
            chosen[str(manifest.get("source_hash")), current].append(folder)
    return list(chosen.items())


def measured_again(
    folder: Path, number: int, modules: Sequence[str] = ()
) -> tuple[list[str], float]:
    """Names of a study's first so many stored units, and how far they are now from what is stored.

    That is the largest difference, over the largest number of its column or array. Seconds may be
    any, and columns may come and go; where words, shapes or what is finite are others it is
    infinite.
    """
    (job,) = jobs([f"from={folder}", "tracker=none"], sweep=False, modules=modules)
    (ready,) = prepared(job)
    stored = whole_units(folder)
    units = [unit for unit in ready.study.units(ready.lab) if unit.name in stored][:number]
    apart = (_apart(unit.measure(), folder, unit.name) for unit in units)
    return [unit.name for unit in units], max(apart, default=math.inf)


def _apart(new: Measurement, folder: Path, unit: str) -> float:
    rows, again = unit_rows(folder, unit), pd.DataFrame(new.rows)
    names = [name for name in rows.columns.intersection(again.columns) if name[-7:] != "seconds"]
    pairs: list[tuple[Any, Any]] = [(rows[name], again[name]) for name in names]
    pairs += [(array, new.arrays.get(name)) for name, array in unit_arrays(folder, unit).items()]
    return max((_difference(old, other) for old, other in pairs), default=math.inf)


def _difference(old: Any, new: Any) -> float:
    if np.shape(new) != np.shape(old):
        return math.inf
    old, new = np.asarray(old), np.asarray(new)
    if not all(np.issubdtype(of.dtype, np.number) for of in (old, new)):
        return 0.0 if [*map(str, old)] == [*map(str, new)] else math.inf
    finite = np.isfinite(old)
    if not np.array_equal(np.isfinite(new), finite):
        return math.inf
    largest = np.abs(old[finite]).max(initial=np.finfo(float).tiny)
    return float(np.abs(new[finite] - old[finite]).max(initial=0.0) / largest)
