"""How reproducible h_t is, by learning rate, momentum, and how far training is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.fidelity import STUDY, Point, points
from glocal_exp.report.figures.sensitivity import difference
from glocal_exp.report.formats import ABSENT
from glocal_exp.report.study import provenance

WAYS = {"float64": "float64", "start1": "moved weights"}
READING = (
    "Relative difference |h_t - h'_t| / |h_t| at step t of interval s, between training as it is "
    "and the same computed in float64 or begun from weights moved by about float32's rounding; "
    "medians over the seeds. Above 1 nothing of the hypergradient is left. h_t is taken on "
    "{images:,} validation images."
)


@dataclass(frozen=True)
class SensitivityTable:
    """One row a setting and interval, a column for each way of repeating and step.

    Attributes:
        title: the caption's first sentence.
        validation: images that h_t is taken on.
        steps: t, from 1.
    """

    title: str
    validation: int
    steps: Sequence[int]

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        rows, records = [], []
        for setting, s in dict.fromkeys((point.setting, point.s) for point in found):
            chosen = [point for point in found if (point.setting, point.s) == (setting, s)]
            record = {"setting": setting, "s": s, "seeds": len(chosen)}
            record |= {
                f"{way} t={t}": self._median(chosen, way, t) for way in WAYS for t in self.steps
            }
            records.append(record)
            numbers = [_brief(record[f"{way} t={t}"]) for way in WAYS for t in self.steps]
            rows.append([setting, str(s), str(len(chosen)), *numbers])
        header = ["setting", "s", "seeds"]
        header += [f"{label}, t = {t}" for label in WAYS.values() for t in self.steps]
        reading = READING.format(images=self.validation)
        text = f"{self.title} {reading}\n\n{STUDY}: {provenance(frame)}\n"
        return Sheet(header, rows, pd.DataFrame(records), text, words=1)

    def _median(self, chosen: Sequence[Point], way: str, t: int) -> float:
        values = []
        for point in chosen:
            base, other = (point.intervals.get(key) for key in (str(self.validation), way))
            if base is not None and other is not None and t <= len(base):
                values.append(difference(base, other)[t - 1])
        finite = [value for value in values if np.isfinite(value)]
        return float(np.median(finite)) if finite else float("nan")


def _brief(value: float) -> str:
    return f"{value:.1g}" if np.isfinite(value) else ABSENT
