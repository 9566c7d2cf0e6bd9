"""How much glocal's direction hangs on window, delays and validation images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.fidelity import STUDY, TRUTHS, Estimator, Point, ceiling, points, score
from glocal_exp.report.formats import count
from glocal_exp.report.study import provenance

LOCAL = "local"
READING = (
    "Cosine of the angle between an estimate and the true global hypergradient, as in the table "
    "fidelity, for every combination of windows and delays ({grid}) and validation images "
    "({images}): their mean over these and the seeds, and in brackets the share above 0. Columns "
    "are starts of training and intervals s. '{truths}' compares the truths with each other; local "
    "has no window and no delays. Starts: {settings}."
)


@dataclass(frozen=True)
class FidelitySettings:
    """One row a kind of steady state, one column an interval of a start of training.

    Attributes:
        title: the caption's first sentence.
        kinds: label -> settings of `SteadyStateEstimator`.
        grid: pairs of window and delays.
        validation: images that h_t is taken on; all for None.
    """

    title: str
    kinds: Mapping[str, Mapping[str, Any]]
    grid: Sequence[tuple[int, int]]
    validation: Sequence[int | None]

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        cosines: dict[str, Float[np.ndarray, "settings points"]] = {
            TRUTHS: np.array([[ceiling(point).cosine for point in found]]),
            LOCAL: _cosines(found, [Estimator("", "last", validation=v) for v in self.validation]),
        }
        for label, steady in self.kinds.items():
            ways = product(self.grid, self.validation)
            chosen = [
                Estimator("", window=window, delays=delays, steady=steady, validation=images)
                for (window, delays), images in ways
            ]
            cosines[label] = _cosines(found, chosen)
        settings = sorted({point.setting for point in found})
        columns = sorted({(settings.index(p.setting) + 1, p.s) for p in found})
        rows, records = [], []
        for label, values in cosines.items():
            row = [label]
            for number, s in columns:
                chosen = [p.setting == settings[number - 1] and p.s == s for p in found]
                record = _summary(values[:, chosen])
                records.append(
                    {"estimate": label, "setting": settings[number - 1], "s": s} | record
                )
                share = f" [{record['agreeing']:.2f}]" if record["finite"] > 1 else ""
                row.append(f"{count(record['mean'], 2)}{share}")
            rows.append(row)
        header = ["estimate", *(f"[{number}] s = {s}" for number, s in columns)]
        reading = READING.format(
            grid=", ".join(f"{window} and {delays}" for window, delays in self.grid),
            images=", ".join("all" if v is None else f"{v:,}" for v in self.validation),
            truths=TRUTHS,
            settings="; ".join(f"[{n}] {setting}" for n, setting in enumerate(settings, start=1)),
        )
        text = f"{self.title} {reading}\n\n{STUDY}: {provenance(frame)}\n"
        return Sheet(header, rows, pd.DataFrame(records), text, words=1)


def _cosines(
    found: Sequence[Point], chosen: Sequence[Estimator]
) -> Float[np.ndarray, "settings points"]:
    return np.array([[score(p, p.estimate(one)).cosine for p in found] for one in chosen])


def _summary(values: Float[np.ndarray, "settings seeds"]) -> dict[str, float]:
    """Over all that is finite: the mean, and the share above 0."""
    finite = values[np.isfinite(values)]
    nothing = {"finite": 0, "mean": float("nan"), "agreeing": float("nan")}
    if not finite.size:
        return nothing
    return {
        "finite": finite.size,
        "mean": float(finite.mean()),
        "agreeing": float(np.mean(finite > 0)),
    }
