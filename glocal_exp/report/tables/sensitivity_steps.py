"""How reproducible h_t is, by learning rate, momentum, and how far training is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.fidelity_points import STUDY, differences, points
from glocal_exp.report.sheet import Column, Sheet

WAYS = {"float64": "float64", "start1": "moved weights"}


@dataclass(frozen=True)
class SensitivityTable(Artifact):
    """One row a setting and interval, a column for each way of repeating and step.

    Attributes:
        validation: images that h_t is taken on.
        steps: t, from 1.
    """

    validation: int
    steps: Sequence[int]

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        names = {(way, t): f"{way} t={t}" for way in WAYS for t in self.steps}
        records = []
        for point in found:
            record = {"setting": point.setting, "s": point.s, "seeds": point.seed}
            for (way, t), name in names.items():
                one = differences(point.intervals, str(self.validation), way)
                record[name] = one[t - 1] if t <= len(one) else np.nan
            records.append(record)
        groups = pd.DataFrame(records).groupby(["setting", "s"], as_index=False)
        data = groups.agg({"seeds": "size"} | dict.fromkeys(names.values(), "median"))
        columns = [
            Column("setting", "setting", words=True),
            Column("s", "s"),
            Column("seeds", "seeds"),
            *(Column(f"{WAYS[w]}, t = {t}", name, "{:.1g}") for (w, t), name in names.items()),
        ]
        text = self.caption(study_rows.provenance(frame, STUDY), apart=False)
        return Sheet(data, columns, text)
