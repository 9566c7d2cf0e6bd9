"""Theorem 3.1 measured on linear systems: both sides, every term, and where its proof gives way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from glocal_exp.studies.bound import Terms, terms
from glocal_exp.studies.gaps import gaps
from glocal_exp.studies.lab import Lab, Measurement, Row, Unit
from glocal_exp.studies.linear import affine_system, linear_system

Noise = Literal["measurement", "process"]
ROUNDING = 1e-10  # what both sides may differ by without noise; hypergradients have norm 1 to 10


@dataclass(frozen=True)
class Theorem:
    """Medians over draws of system and noise, one row a window, horizon and rule of amplitudes."""

    systems: Mapping[str, Mapping[str, Any]]
    levels: Sequence[float]
    intervals: Sequence[int]
    horizons: Sequence[int]
    draws: int
    unit_tolerances: Sequence[float]
    # "measurement" is in what is seen of the interval alone; "process" moves the trajectory itself,
    # to its end
    noises: Sequence[Noise] = ("measurement", "process")
    # see `bound.terms`; `configs/study/theorem.yaml` explains the other settings
    amplitudes: Sequence[str] = ("newest", "first")
    trains: ClassVar[bool] = False

    def units(self, lab: Lab) -> Iterator[Unit]:
        yield Unit("gaps", lambda: Measurement(list(gaps())))
        for name, system in self.systems.items():
            for level in self.levels:
                for noise in self.noises if level else self.noises[:1]:
                    about: Row = {"system": name, "noise": noise, "level": level}
                    measure = partial(self._measure, lab, about, noise, level, **system)
                    yield Unit(f"{name}-{noise}-{level:g}", measure)

    def _measure(
        self, lab: Lab, about: Row, noise: Noise, level: float, **system: Any
    ) -> Measurement:
        delays = system.pop("delays", 1)
        make = affine_system if system.pop("affine", False) else linear_system
        length = max(self.intervals) + max(self.horizons) + delays + 1
        drawn = []  # the trajectory, what its measurement adds to each row, and its operator
        for number in range(self.draws):
            rng = np.random.default_rng([lab.seed, number])
            known = make(rng, **system)
            shocks = level * rng.standard_normal((length, len(known.readout)))
            trajectory = known.trajectory(length, shocks if noise == "process" else None)
            drawn.append((trajectory, shocks * (noise == "measurement"), known.operator(delays)))

        rows: list[Row] = []
        names = ("interval", "horizon", "unit_tolerance", "amplitudes")
        choices = (self.intervals, self.horizons, self.unit_tolerances, self.amplitudes)
        for chosen in product(*choices):
            setting: dict[str, Any] = dict(zip(names, chosen, strict=True))
            end = setting["interval"] + setting["horizon"] + delays + 1
            measured = np.arange(end)[:, None] < setting["interval"]
            bounds = [
                terms(h[:end] + measured * errors[:end], k, delays=delays, **setting)
                for h, errors, k in drawn
            ]
            rows.append({**about, **setting, **summarize(bounds)})
        return Measurement(rows)


def summarize(bounds: Sequence[Terms]) -> Row:
    """Medians of all terms, quartiles of both sides, and how often each inequality holds."""
    found = pd.DataFrame(bounds)
    row: Row = {name: float(np.median(found[name])) for name in found}
    for side in ("left", "right", "proven"):
        row[f"{side}_low"], row[f"{side}_high"] = np.quantile(found[side], (0.25, 0.75)).tolist()
    for name, smaller, larger in (
        ("holds", "left", "right"),
        ("prediction_holds", "left_prediction", "right_prediction"),
        ("limit_holds", "left_limit", "transient"),
        ("local_holds", "local_error", "epsilon"),
        ("proven_holds", "left", "proven"),
    ):
        row[name] = float(np.mean(found[smaller] <= found[larger] + ROUNDING))
    row["radius_holds"] = float(np.mean(found["radius"] <= 1 + ROUNDING))
    row["draws"] = len(bounds)
    return row
