"""How far hypergradients in float32 and in bfloat16 are from those in float64."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from omegaconf import OmegaConf

from glocal_exp.report.artifact import Context, MissingStudy, Sheet
from glocal_exp.report.formats import ABSENT, network
from glocal_exp.report.study import provenance, rows
from glocal_exp.store.status import read_manifest
from glocal_exp.store.studies import study_config, unit_arrays

STUDY, TRUE = "precision", "float64"
READING = (
    "Distance of h_t from its value in float64, over the length of the latter, and in brackets the "
    "cosine of the angle between them, t steps after the start of interval s; signs: the share of "
    "all parts of all h_t of the interval with the sign of the float64 one. Means over seeds. "
    "All begin with the same weights and hyperparameters and get the same batches; moved starts "
    "show what rounding alone does."
)


@dataclass(frozen=True)
class PrecisionTable:
    """One row a way to compute, one column a step of an interval.

    Attributes:
        title: the caption's first sentence.
        labels: variation -> as printed; others keep their names.
    """

    title: str
    labels: Mapping[str, str]

    def make(self, context: Context) -> Sheet:
        frame = rows(context, STUDY)
        records = list(_distances(frame))
        if not records:
            raise MissingStudy(STUDY)
        trainings = list(dict.fromkeys(record["training"] for record in records))
        intervals = sorted({record["s"] for record in records})
        columns = sorted({(record["s"], record["t"]) for record in records})
        lines = []
        for number, training in enumerate(trainings, start=1):
            found = [record for record in records if record["training"] == training]
            prefix = f"[{number}] " if len(trainings) > 1 else ""
            for name, label in self._rows(found).items():
                cells = (_cell(found, name, *column) for column in columns)
                shares = (_signs(found, name, s) for s in intervals)
                lines.append([prefix + label, *cells, *shares])
        header = ["computed in", *(f"s = {s}, t = {t}" for s, t in columns)]
        header += [f"s = {s}, signs" for s in intervals]
        about = " ".join(
            f"[{n}] {text}" if len(trainings) > 1 else text for n, text in enumerate(trainings, 1)
        )
        text = f"{self.title} {READING}\n\n{STUDY}: {about} {provenance(frame)}\n"
        return Sheet(header, lines, pd.DataFrame(records), text, words=1)

    def _rows(self, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Variation -> label, in the order of `labels`."""
        known = dict.fromkeys(record["variation"] for record in records)
        order = [name for name in self.labels if name in known]
        return {name: self.labels.get(name, name) for name in dict.fromkeys([*order, *known])}


class Interval(NamedTuple):
    """One interval of one training: h_t (tau, q) in float64, and by variation."""

    folder: str
    seed: int
    s: int
    true: Float[np.ndarray, "tau q"]
    found: dict[str, Float[np.ndarray, "tau q"]]


def beside_float64(frame: pd.DataFrame) -> Iterator[Interval]:
    """Those that were computed in float64 too."""
    records = frame.to_dict("records")
    for folder, s in sorted({(str(r["folder"]), int(r["s"])) for r in records}):
        group = [r for r in records if (r["folder"], r["s"]) == (folder, s)]
        units = {str(r["variation"]): str(r["unit"]) for r in group}
        if TRUE not in units:
            continue
        found = {name: unit_arrays(folder, unit)["h"] for name, unit in units.items()}
        yield Interval(folder, int(group[0]["seed"]), s, found.pop(TRUE), found)


def _distances(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row for each interval and variation, and each t that is shown."""
    for folder, seed, s, true, found in beside_float64(frame):
        about = _about(folder)
        for name, h in found.items():
            signs = float(np.mean(np.sign(h) == np.sign(true)))
            for t in sorted({1, min(10, len(true)), len(true)}):
                error, cosine = distance(h[t - 1], true[t - 1])
                yield {
                    "training": about, "variation": name, "s": s, "t": t, "seed": seed,
                    "error": error, "cosine": cosine, "signs": signs,
                }  # fmt: skip


def distance(h: Float[np.ndarray, " q"], true: Float[np.ndarray, " q"]) -> tuple[float, float]:
    """Relative error and cosine; NaN where a vector is 0 or not finite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.linalg.norm(true)
        error = np.linalg.norm(h - true) / length
        return float(error), float(h @ true / (length * np.linalg.norm(h)))


def _cell(records: Sequence[Mapping[str, Any]], *place: Any) -> str:
    found = [r for r in records if (r["variation"], r["s"], r["t"]) == place]
    if not found:
        return ABSENT
    error, cosine = (float(np.mean([r[key] for r in found])) for key in ("error", "cosine"))
    return f"{error:.1e} ({cosine:.2f})"


def _signs(records: Sequence[Mapping[str, Any]], name: str, s: int) -> str:
    found = [r["signs"] for r in records if (r["variation"], r["s"]) == (name, s)]
    return f"{100 * float(np.mean(found)):.0f} %" if found else ABSENT


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
