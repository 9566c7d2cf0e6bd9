"""Over all steps of an interval: how far float32 and bfloat16 are from float64, sign by sign."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context, MissingStudy
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.report.tables.precision_steps import STUDY, beside_float64
from glocal_exp.report.vectors import cosine, relative_error
from glocal_exp.store.studies import study_config

SIGN = "sign_"


@dataclass(frozen=True)
class PrecisionSpread(Artifact):
    """One row an interval, way to compute, and seed.

    Attributes:
        labels: variation -> as printed; others keep their names.
    """

    labels: Mapping[str, str]

    def make(self, context: Context) -> Sheet:
        frame = study_rows.load(context, STUDY)
        records = list(_spreads(frame))
        if not records:
            raise MissingStudy(STUDY)
        order = [*self.labels, *(record["variation"] for record in records)]
        records.sort(key=lambda r: (r["s"], order.index(r["variation"]), r["seed"]))
        data = pd.DataFrame(records)
        columns = [
            Column("computed in", "variation", lambda n: self.labels.get(n, n), words=True),
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
