"""What figures and tables of studies share: their rows, and where those are from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.store.files import read_manifest
from glocal_exp.store.load import is_outdated
from glocal_exp.store.studies import load_study


def load(context: Context, study: str) -> pd.DataFrame:
    """All rows of a study; `MissingStudy` if nothing of it is stored."""
    frame = load_study(context.studies, study)
    if frame.empty:
        raise MissingStudy(study)
    return frame


def chosen(frame: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that have these values; numbers may differ by rounding."""
    mask = np.ones(len(frame), bool)
    for name, value in where.items():
        if name not in frame:
            return frame.iloc[:0]
        column = frame[name]
        if isinstance(value, int | float):
            mask &= np.isclose(column.to_numpy(float), value, rtol=1e-9, atol=0)
        else:
            mask &= (column == value).to_numpy()
    return frame.loc[mask]


def needed(frame: pd.DataFrame, study: str, where: Mapping[str, Any]) -> pd.DataFrame:
    """The same; `MissingStudy` if there are none yet."""
    found = chosen(frame, where)
    if found.empty:
        raise MissingStudy(study)
    return found


def provenance(frame: pd.DataFrame, about: str = "") -> str:
    """Seeds, units, machine and commit of the rows shown, after what they are about."""
    manifests = [read_manifest(Path(folder)) or {} for folder in sorted(set(frame["folder"]))]
    seeds = ", ".join(map(str, sorted({m["seed"] for m in manifests if "seed" in m})))
    units = frame[["folder", "unit"]].drop_duplicates()
    commits = {str((m.get("git") or {}).get("commit") or "unknown")[:10] for m in manifests}
    machines = {str(m.get("processor") or "an unknown processor") for m in manifests}
    text = (
        f"{len(units)} units, seed {seeds}; on {' and '.join(sorted(machines))}; "
        f"commit {' and '.join(sorted(commits))}."
    )
    if any(m.get("status") != "complete" for m in manifests):
        text += " The study is unfinished, shown as far as it is."
    if any(is_outdated(m) for m in manifests):
        text += " Measured with an older version of the numerical code."
    return f"{about}: {text}" if about else text
