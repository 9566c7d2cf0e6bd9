"""How far hypergradients in float32 and in bfloat16 are from those in float64."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
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
    found, source = _beside_float64(context, labels)
    trainings = {folder: _about(folder) for folder in sorted({one.folder for one in found})}
    order = list(dict.fromkeys(trainings.values()))
    rows = [
        {"training": trainings[one.folder], "variation": one.variation, "s": one.s, "t": t,
         "seed": one.seed, "error": one.errors[t - 1], "cosine": one.cosines[t - 1],
         "signs": float(one.same.mean())}
        for one in found
        for t in sorted({1, min(10, len(one.same)), len(one.same)})
    ]  # fmt: skip
    rows.sort(key=lambda row: order.index(row["training"]))
    marks = {about: f"[{n}] " if len(order) > 1 else "" for n, about in enumerate(order, 1)}
    listed = " ".join(mark + about for about, mark in marks.items())
    printed = {"training": marks, "variation": labels}
    return Found(pd.DataFrame(rows), [f"{STUDY}: {listed} {source}"], labels=printed)


def spreads(context: Context, labels: Mapping[str, str]) -> Found:
    """A row for each interval and variation, over all of its steps; `labels` as above."""
    found, source = _beside_float64(context, labels)
    names = _names(found[-1].folder, found[-1].same.shape[1])
    rows = [
        {"variation": one.variation, "s": one.s, "seed": one.seed, "steps": len(one.same),
         "median": np.median(one.errors), "largest": np.max(one.errors),
         "least_cosine": np.min(one.cosines)}
        | {f"sign_{key}": n for key, n in zip(names, one.same.sum(axis=0), strict=True)}
        for one in sorted(found, key=lambda one: one.s)
    ]  # fmt: skip
    data, printed = pd.DataFrame(rows), {"variation": labels}
    return Found(data, [f"{STUDY}: {source}"], labels=printed, names=names)


class Compared(NamedTuple):
    """h_t of one interval in one variation beside those in float64, at every step."""

    folder: str
    seed: int
    s: int
    variation: str
    errors: Float[np.ndarray, " tau"]
    cosines: Float[np.ndarray, " tau"]
    same: Bool[np.ndarray, "tau q"]  # signs


def _beside_float64(context: Context, labels: Mapping[str, str]) -> tuple[list[Compared], str]:
    """In the order of the labels, then by name, and where they are from; or `MissingStudy`."""
    frame = study_rows.load(context, STUDY)
    found = []
    for (folder, s, seed), rows in frame.groupby(["folder", "s", "seed"]):  # pyright: ignore
        units = rows[["variation", "unit"]].to_numpy()
        h = {name: unit_arrays(folder, unit)["h"] for name, unit in units}
        true = h.pop(TRUE, None)
        if true is None:
            continue
        for name, other in h.items():
            far, same = relative_error(other, true), np.sign(other) == np.sign(true)
            found.append(Compared(folder, int(seed), s, name, far, cosine(other, true), same))
    if not found:
        raise MissingStudy(STUDY)
    order = [*labels, *sorted({one.variation for one in found} - set(labels))]
    found.sort(key=lambda one: (order.index(one.variation), one.seed))
    return found, study_rows.provenance(frame)


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
