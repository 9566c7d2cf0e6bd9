"""How far hypergradients in float32 and in bfloat16 are from those in float64."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from omegaconf import OmegaConf

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.formats import network
from glocal_exp.report.tables.grouped import Found
from glocal_exp.report.vectors import cosine, relative_error
from glocal_exp.store.files import read_manifest
from glocal_exp.store.studies import study_config, unit_arrays

STUDY, TRUE = "precision", "float64"


def distances(context: Context, labels: Mapping[str, str]) -> Found:
    """A row for each interval and variation, and each t that is shown.

    Args:
        labels: variation -> as printed; others come after and keep their names.
    """
    frame = study_rows.load(context, STUDY)
    rows, marks = [], dict[str, str]()
    for folder, seed, s, true, found in _beside_float64(frame):
        marks.setdefault(about := _about(folder), f"[{len(marks) + 1}] ")
        for name, h in found.items():
            signs = float(np.mean(np.sign(h) == np.sign(true)))
            errors, cosines = relative_error(h, true), cosine(h, true)
            rows += [
                {"training": about, "variation": name, "s": s, "t": t, "seed": seed,
                 "error": errors[t - 1], "cosine": cosines[t - 1], "signs": signs}
                for t in sorted({1, min(10, len(true)), len(true)})
            ]  # fmt: skip
    rows.sort(key=lambda row: (list(marks).index(row["training"]), _place(row, labels)))
    marks = marks if len(marks) > 1 else dict.fromkeys(marks, "")
    about = " ".join(mark + training for training, mark in marks.items())
    source = f"{STUDY}: {about} {study_rows.provenance(frame)}"
    printed = {"training": marks, "variation": labels}
    return Found(pd.DataFrame(rows), [source], labels=printed)


def spreads(context: Context, labels: Mapping[str, str]) -> Found:
    """A row for each interval and variation, over all of its steps; `labels` as above."""
    frame = study_rows.load(context, STUDY)
    rows, names = [], []
    for folder, seed, s, true, found in _beside_float64(frame):
        names = _names(folder, true.shape[1])
        for name, h in found.items():
            errors, same = relative_error(h, true), np.sum(np.sign(h) == np.sign(true), axis=0)
            rows.append({
                "variation": name, "s": s, "seed": seed, "steps": len(true),
                "median": np.median(errors), "largest": np.max(errors),
                "least_cosine": np.min(cosine(h, true)),
            } | {f"sign_{key}": n for key, n in zip(names, same, strict=True)})  # fmt: skip
    rows.sort(key=lambda row: (row["s"], _place(row, labels), row["seed"]))
    source = study_rows.provenance(frame, STUDY)
    return Found(pd.DataFrame(rows), [source], labels={"variation": labels}, names=names)


class Interval(NamedTuple):
    """One interval of one training: h_t (tau, q) in float64, and by variation."""

    folder: str
    seed: int
    s: int
    true: Float[np.ndarray, "tau q"]
    found: dict[str, Float[np.ndarray, "tau q"]]


def _beside_float64(frame: pd.DataFrame) -> list[Interval]:
    """Those that were computed in float64 too; `MissingStudy` if none was."""
    found = []
    for (folder, s, seed), rows in frame.groupby(["folder", "s", "seed"]):  # pyright: ignore
        h = {
            name: unit_arrays(folder, u)["h"] for name, u in rows[["variation", "unit"]].to_numpy()
        }
        if TRUE in h:
            found.append(Interval(folder, int(seed), s, h.pop(TRUE), h))
    if not found:
        raise MissingStudy(STUDY)
    return found


def _place(row: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[int, str]:
    """To sort by: the labels' order, then the others by name."""
    name = row["variation"]
    return [*labels, name].index(name), name


def _names(folder: str, size: int) -> list[str]:
    """The hyperparameters in the order of the hypergradient, that of their tree."""
    init = OmegaConf.select(study_config(folder), "task.init") or {}
    return sorted(init) if len(init) == size else [f"part {n}" for n in range(1, size + 1)]


def _about(folder: str) -> str:
    """Network, data and sizes of a stored study."""
    manifest, config = read_manifest(folder) or {}, study_config(folder)
    setting = partial(OmegaConf.select, config)
    data, choices = (manifest.get(key) or {} for key in ("data", "choices"))
    return (
        f"{network(choices.get('model'), setting('model'))} on "
        f"{data.get('notice') or data.get('title') or 'unknown data'}, trained in "
        f"{setting('model.compute') or setting('precision')} with batches of "
        f"{setting('batch_size')}; starts moved by {setting('study.start_size')} of each weight "
        "array's deviation."
    )
