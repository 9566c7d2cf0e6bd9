"""How far hypergradients in float32 and in bfloat16 are from those in float64."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from omegaconf import OmegaConf

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context, MissingStudy
from glocal_exp.report.formats import network
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.report.vectors import cosine, relative_error
from glocal_exp.store.status import read_manifest
from glocal_exp.store.studies import study_config, unit_arrays

STUDY, TRUE = "precision", "float64"


@dataclass(frozen=True)
class PrecisionTable(Artifact):
    """One row a way to compute, one column a step of an interval.

    Attributes:
        labels: variation -> as printed; others keep their names.
    """

    labels: Mapping[str, str]

    def make(self, context: Context) -> Sheet:
        frame = study_rows.load(context, STUDY)
        records = list(_distances(frame))
        if not records:
            raise MissingStudy(STUDY)
        trainings = list(dict.fromkeys(record["training"] for record in records))
        several = len(trainings) > 1
        marks = {text: f"[{n}] " if several else "" for n, text in enumerate(trainings, 1)}
        order = [*self.labels, *(record["variation"] for record in records)]
        records.sort(key=lambda r: (trainings.index(r["training"]), order.index(r["variation"])))
        columns = [
            Column(
                "computed in", ("training", "variation"),
                lambda training, name: marks[training] + self.labels.get(name, name), words=True,
            ),
            *(
                Column(f"s = {s}, t = {t}", ("error", "cosine"), "{:.1e} ({:.2f})",
                       {"s": s, "t": t})
                for s, t in sorted({(r["s"], r["t"]) for r in records})
            ),
            *(
                Column(f"s = {s}, signs", "signs", lambda share: f"{100 * share:.0f} %", {"s": s})
                for s in sorted({r["s"] for r in records})
            ),
        ]  # fmt: skip
        about = " ".join(marks[text] + text for text in trainings)
        text = self.caption(f"{STUDY}: {about} {study_rows.provenance(frame)}", apart=False)
        return Sheet(pd.DataFrame(records), columns, text, by=("training", "variation"))


class Interval(NamedTuple):
    """One interval of one training: h_t (tau, q) in float64, and by variation."""

    folder: str
    seed: int
    s: int
    true: Float[np.ndarray, "tau q"]
    found: dict[str, Float[np.ndarray, "tau q"]]


def beside_float64(frame: pd.DataFrame) -> Iterator[Interval]:
    """Those that were computed in float64 too."""
    for (folder, s), rows in frame.groupby(["folder", "s"]):  # pyright: ignore
        units = dict(zip(rows["variation"], rows["unit"], strict=True))
        if TRUE in units:
            found = {str(name): unit_arrays(folder, unit)["h"] for name, unit in units.items()}
            yield Interval(folder, int(rows["seed"].iloc[0]), s, found.pop(TRUE), found)


def _distances(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A record for each interval and variation, and each t that is shown."""
    for folder, seed, s, true, found in beside_float64(frame):
        about = _about(folder)
        for name, h in found.items():
            signs = float(np.mean(np.sign(h) == np.sign(true)))
            for t in sorted({1, min(10, len(true)), len(true)}):
                pair = h[t - 1], true[t - 1]
                yield {
                    "training": about, "variation": name, "s": s, "t": t, "seed": seed,
                    "error": relative_error(*pair), "cosine": cosine(*pair), "signs": signs,
                }  # fmt: skip


def _about(folder: str) -> str:
    """Network, data and sizes of a stored study."""
    manifest, config = read_manifest(folder) or {}, study_config(folder)
    data, choices = (manifest.get(key) or {} for key in ("data", "choices"))
    name = network(choices.get("model"), OmegaConf.select(config, "model"))
    moved = OmegaConf.select(config, "study.start_size")
    precision = OmegaConf.select(config, "model.compute") or OmegaConf.select(config, "precision")
    batch = OmegaConf.select(config, "batch_size")
    return (
        f"{name} on {data.get('notice') or data.get('title') or 'unknown data'}, trained in "
        f"{precision} with batches of {batch}; starts moved by {moved} of each weight array's "
        "deviation."
    )
