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
SIGN = "sign_"


@dataclass(frozen=True)
class OfPrecision(Artifact):
    """What both tables are made from.

    Attributes:
        labels: variation -> as printed; others keep their names.
    """

    labels: Mapping[str, str]

    def label(self, variation: str) -> str:
        """As printed."""
        return self.labels.get(variation, variation)

    def place(self, variation: str) -> tuple[int, str]:
        """To sort by: the labels' order, then the others by name."""
        return [*self.labels, variation].index(variation), variation


class PrecisionTable(OfPrecision):
    """One row a way to compute, one column a step of an interval."""

    def make(self, context: Context) -> Sheet:
        frame = study_rows.load(context, STUDY)
        records = list(_distances(frame))
        if not records:
            raise MissingStudy(STUDY)
        trainings = list(dict.fromkeys(record["training"] for record in records))
        several = len(trainings) > 1
        marks = {text: f"[{n}] " if several else "" for n, text in enumerate(trainings, 1)}
        records.sort(key=lambda r: (trainings.index(r["training"]), self.place(r["variation"])))
        columns = [
            Column(
                "computed in", ("training", "variation"),
                lambda training, name: marks[training] + self.label(name), words=True,
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


class PrecisionSpread(OfPrecision):
    """One row an interval, way to compute, and seed."""

    def make(self, context: Context) -> Sheet:
        frame = study_rows.load(context, STUDY)
        records = list(_spreads(frame))
        if not records:
            raise MissingStudy(STUDY)
        records.sort(key=lambda r: (r["s"], self.place(r["variation"]), r["seed"]))
        data = pd.DataFrame(records)
        columns = [
            Column("computed in", "variation", self.label, words=True),
            Column("s", "s"),
            Column("seed", "seed"),
            Column("median", "median", "{:.1e}"),
            Column("largest", "largest", "{:.1e}"),
            Column("least cosine", "least_cosine", "{:.2f}"),
            *(
                Column(f"sign of {name.removeprefix(SIGN).replace('_', ' ')}", (name, "steps"),
                       "{:.0f} of {}")
                for name in data if name.startswith(SIGN)
            ),
        ]  # fmt: skip
        text = self.caption(study_rows.provenance(frame, STUDY), apart=False)
        return Sheet(data, columns, text)


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


def _spreads(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A record for each interval and variation."""
    for folder, seed, s, true, found in beside_float64(frame):
        names = _names(folder, true.shape[1])
        for name, h in found.items():
            pairs = list(zip(h, true, strict=True))
            errors = [relative_error(*pair) for pair in pairs]
            same = np.sum(np.sign(h) == np.sign(true), axis=0)
            yield {
                "variation": name, "s": s, "seed": seed, "steps": len(true),
                "median": np.median(errors), "largest": np.max(errors),
                "least_cosine": np.min([cosine(*pair) for pair in pairs]),
            } | {SIGN + key: n for key, n in zip(names, same, strict=True)}  # fmt: skip


def _names(folder: str, size: int) -> list[str]:
    """The hyperparameters in the order of the hypergradient, that of their tree."""
    init = OmegaConf.select(study_config(folder), "task.init") or {}
    return sorted(init) if len(init) == size else [f"part {n}" for n in range(1, size + 1)]


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
