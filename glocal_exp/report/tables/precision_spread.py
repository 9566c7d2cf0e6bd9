"""Over all steps of an interval: how far float32 and bfloat16 are from float64, sign by sign."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.report.artifact import Context, MissingStudy, Sheet
from glocal_exp.report.formats import ABSENT
from glocal_exp.report.study import provenance, rows
from glocal_exp.report.tables.precision import STUDY, beside_float64, distance
from glocal_exp.store.studies import study_config

READING = (
    "Of the h_t at every step t of interval s, beside those in float64 from the same weights, "
    "hyperparameters and batches: the distance over the length of the float64 one, median and "
    "largest; the smallest cosine; and how many have the sign of the float64 one, by "
    "hyperparameter. One row a seed. Moved starts show what rounding alone does."
)


@dataclass(frozen=True)
class PrecisionSpread:
    """One row an interval, way to compute, and seed.

    Attributes:
        title: the caption's first sentence.
        labels: variation -> as printed; others keep their names.
    """

    title: str
    labels: Mapping[str, str]

    def make(self, context: Context) -> Sheet:
        frame = rows(context, STUDY)
        records = list(spreads(frame))
        if not records:
            raise MissingStudy(STUDY)
        order = {name: place for place, name in enumerate(self.labels)}
        records.sort(key=lambda r: (r["s"], order.get(r["variation"], len(order)), r["seed"]))
        signs = list(dict.fromkeys(key for r in records for key in r if key.startswith("sign_")))
        lines = [
            [
                self.labels.get(record["variation"], record["variation"]),
                str(record["s"]),
                str(record["seed"]),
                *(f"{record[name]:.1e}" for name in ("median", "largest")),
                f"{record['least_cosine']:.2f}",
                *(
                    f"{record[name]} of {record['steps']}" if name in record else ABSENT
                    for name in signs
                ),
            ]
            for record in records
        ]
        header = ["computed in", "s", "seed", "median", "largest", "least cosine"]
        header += [f"sign of {name.removeprefix('sign_').replace('_', ' ')}" for name in signs]
        text = f"{self.title} {READING}\n\n{STUDY}: {provenance(frame)}\n"
        return Sheet(header, lines, pd.DataFrame(records), text, words=1)


def spreads(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row for each interval and variation."""
    for folder, seed, s, true, found in beside_float64(frame):
        names = _names(folder, true.shape[1])
        for name, h in found.items():
            errors, cosines = np.array([distance(*pair) for pair in zip(h, true, strict=True)]).T
            same = np.sum(np.sign(h) == np.sign(true), axis=0)
            yield {
                "variation": name, "s": s, "seed": seed, "steps": len(true),
                "median": float(np.median(errors)), "largest": float(errors.max()),
                "least_cosine": float(cosines.min()),
            } | {f"sign_{key}": int(n) for key, n in zip(names, same, strict=True)}  # fmt: skip


def _names(folder: str, size: int) -> list[str]:
    """The hyperparameters in the order of the hypergradient, that of their tree."""
    init = OmegaConf.select(study_config(folder), "task.init") or {}
    return sorted(init) if len(init) == size else [f"part {n}" for n in range(1, size + 1)]
