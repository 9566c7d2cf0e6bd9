"""The fidelity study's records as points to compare estimates at: trajectories and truths.

A point is one interval of one training run. Its estimates are computed here, from the stored
trajectory of h_t, so a new estimator needs no new playout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from omegaconf import OmegaConf

from glocal_exp.errors import UserError
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.report.artifact import Context
from glocal_exp.report.study import rows
from glocal_exp.store.studies import study_config, unit_arrays

STUDY = "fidelity"
TRUTHS = "another truth"
"""What the row is called that compares truths with each other."""
Vector = Float[np.ndarray, " q"]
SETTING = {"learning_rate": "lr", "momentum": "momentum", "b1": "b1"}
"""What tells one setting from another, in the order of its label."""


@dataclass(frozen=True)
class Estimator:
    """One way from an interval's trajectory to a hypergradient; an entry of a YAML file.

    Attributes:
        label: as printed.
        kind: `last`, `mean` or `glocal`.
        window, stride, delays: as the methods have them.
        dmd: settings of `HankelDMD`.
        steady: settings of `SteadyStateEstimator`.
        validation: images that h_t is taken on; all of them if None.
    """

    label: str
    kind: str = "glocal"
    window: int = 80
    stride: int = 1
    delays: int = 10
    dmd: Mapping[str, Any] = field(default_factory=dict)
    steady: Mapping[str, Any] = field(default_factory=dict)
    validation: int | None = None

    def __call__(self, h: Float[np.ndarray, "tau q"], steps_left: int) -> Vector:
        """The estimate from h_1, ..., h_tau; NaN where there is none."""
        seen = h[-self.window :][:: -self.stride][::-1]
        if self.kind == "last":
            return h[-1]
        if self.kind == "mean":
            return seen.mean(axis=0)
        if self.kind != "glocal":
            raise UserError(f"{self.label}: kind={self.kind} is none of last, mean and glocal.")
        spectrum = HankelDMD(**self.dmd).fit(seen, self.delays, self.stride)
        return SteadyStateEstimator(**self.steady).estimate(spectrum, seen, steps_left)[0]

    @property
    def gradients(self) -> int:
        """Validation gradients an interval."""
        return 1 if self.kind == "last" else (self.window - 1) // self.stride + 1


THRESHOLD = {"rank": "hard_threshold"}
ESTIMATORS = (
    Estimator("local", kind="last"),
    Estimator("window mean", kind="mean"),
    Estimator("glocal"),  # the paper's: window 80, 10 delays, infinite horizon
    Estimator("glocal, finite horizon", steady={"horizon": "finite"}),
    Estimator("glocal, fit to all", dmd={"amplitudes": "all"}),
    Estimator("glocal, rank by threshold", dmd=THRESHOLD),
    Estimator("glocal, total least squares", dmd={"regression": "total_least_squares"}),
    Estimator("glocal, forward-backward", dmd={"regression": "forward_backward"}),
    # The next two are `dmd=total_least_squares` and `dmd=forward_backward` as they are configured.
    Estimator("glocal, threshold, total", dmd=THRESHOLD | {"regression": "total_least_squares"}),
    Estimator("glocal, threshold, backward", dmd=THRESHOLD | {"regression": "forward_backward"}),
    Estimator("glocal, scaled", dmd={"scaling": "component"}),
    Estimator("glocal, window 60", window=60),
    Estimator("glocal, window 40", window=40),
    Estimator("glocal, 5 delays", delays=5),
    Estimator("glocal, 20 delays", delays=20),
    Estimator("glocal, stride 2", stride=2, delays=5),  # 8 steps of delays, like the paper's 9
    Estimator("glocal, stride 4", stride=4, delays=3),
    Estimator("glocal, stride 4, 5 delays", stride=4, delays=5),
    Estimator("local, 1,000 images", kind="last", validation=1000),
    Estimator("glocal, 1,000 images", validation=1000),
    Estimator("glocal, 250 images", validation=250),
    Estimator("glocal, stride 4, 1,000 images", stride=4, delays=3, validation=1000),
)
"""Those that the figure of fidelity compares, unless its YAML lists others."""
VARIANTS = (
    *ESTIMATORS,
    Estimator("glocal, stride 4, 2 delays", stride=4, delays=2),
    Estimator("glocal, stride 4, 4 delays", stride=4, delays=4),
    Estimator("glocal, else local", steady={"fallback": "local"}),
    Estimator(
        "glocal, stride 4, 1,000 images, else local",
        stride=4,
        delays=3,
        validation=1000,
        steady={"fallback": "local"},
    ),
)
"""Those of the table of all points: what else was tried besides."""


@dataclass(frozen=True)
class Point:
    """The start of interval `s` of a training run, and what was played out from it.

    Attributes:
        setting: the start of training, as a label.
        steps_left: from the interval's end to T.
        intervals: by variation or validation size, h at every step of the interval.
        playouts: by variation, h at the end of each interval up to T.
        slopes: of the final loss by finite differences, one row a start.
    """

    setting: str
    seed: int
    s: int
    steps_left: int
    interval: int
    names: tuple[str, ...]
    intervals: dict[str, Float[np.ndarray, "tau q"]]
    playouts: dict[str, Float[np.ndarray, "intervals q"]]
    slopes: Float[np.ndarray, "starts q"]

    @property
    def truths(self) -> dict[str, Vector]:
        """h_T of each playout that stayed finite."""
        ends = {name: h[-1] for name, h in self.playouts.items()}
        return {name: h for name, h in ends.items() if np.isfinite(h).all()}

    def estimate(self, estimator: Estimator) -> Vector:
        """What the estimator makes of this interval; NaN where its validation size is missing."""
        name = str(estimator.validation or "all")
        if name not in self.intervals:
            return np.full(len(self.names), np.nan)
        return estimator(self.intervals[name], self.steps_left)


def points(context: Context) -> tuple[list[Point], pd.DataFrame]:
    """Every point with a truth, in the order of settings, seeds and intervals; and all rows.

    Raises:
        MissingStudy: nothing of the study is stored.
    """
    frame = rows(context, STUDY)
    found = []
    for folder, of_run in frame.groupby("folder"):
        config = study_config(str(folder))
        for s, of_point in of_run.groupby("s"):
            if ((of_point.kind == "truth") & (of_point.variation == "base")).any():
                found.append(_point(str(folder), config, int(s), of_point))  # pyright: ignore
    return sorted(found, key=lambda point: (point.setting, point.seed, point.s)), frame


def _point(folder: str, config: Any, s: int, frame: pd.DataFrame) -> Point:
    interval, steps = int(config.interval), int(config.steps)
    names = tuple(sorted(config.task.init))  # the hypergradient's order is that of the tree
    return Point(
        setting=_setting(config),
        seed=int(frame.seed.iloc[0]),
        s=s,
        steps_left=steps - s * interval,
        interval=interval,
        names=names,
        intervals=_arrays(folder, frame, f"s{s}.interval."),
        playouts=_arrays(folder, frame, f"s{s}.truth."),
        slopes=_slopes(frame, names),
    )


def _slopes(frame: pd.DataFrame, names: Sequence[str]) -> Float[np.ndarray, "starts q"]:
    found = frame[frame.kind == "slope"]
    if found.empty:
        return np.zeros((0, len(names)))
    table = found.pivot_table(index="unit", columns="hyperparameter", values="slope", sort=False)
    return table[list(names)].to_numpy()


def _arrays(folder: str, frame: pd.DataFrame, prefix: str) -> dict[str, np.ndarray]:
    units = [unit for unit in frame.unit.unique() if unit.startswith(prefix)]
    return {unit.removeprefix(prefix): unit_arrays(folder, unit)["h"] for unit in units}


def _setting(config: Any) -> str:
    init = OmegaConf.to_container(config.task.init)
    assert isinstance(init, dict)
    return ", ".join(f"{label} {init[name]:g}" for name, label in SETTING.items() if name in init)


def cosine(a: Vector, b: Vector) -> float:
    """Of the angle between two vectors; NaN where one is zero or not finite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def same_signs(a: Vector, b: Vector) -> np.ndarray:
    """By hyperparameter, 1 where the signs are the same, else 0; NaN where one is not finite."""
    return np.where(np.isfinite(a + b), np.sign(a) == np.sign(b), np.nan)


def relative_error(a: Vector, b: Vector) -> float:
    """|a - b| / |b|."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@dataclass(frozen=True)
class Score:
    """How an estimate compares with the truths of its point, on average over them.

    Attributes:
        cosine: of the angle.
        signs: share of the truths with the same sign, by hyperparameter.
        error: relative, to the mean truth.
        slope_signs: the same share, of the finite differences.
    """

    cosine: float
    signs: np.ndarray
    error: float
    slope_signs: np.ndarray


def score(point: Point, estimate: Vector) -> Score:
    """Compare an estimate with every truth of its point."""
    truths = list(point.truths.values())
    slopes = [same_signs(estimate, slope) for slope in point.slopes]
    return Score(
        cosine=float(np.mean([cosine(estimate, truth) for truth in truths])),
        signs=np.mean([same_signs(estimate, truth) for truth in truths], axis=0),
        error=relative_error(estimate, np.mean(truths, axis=0)),
        slope_signs=np.mean(slopes, axis=0) if slopes else np.full(len(point.names), np.nan),
    )


def ceiling(point: Point) -> Score:
    """How the truths of a point compare with each other: no estimate can be expected to do better.

    NaN with fewer than two.
    """
    pairs = list(permutations(point.truths.values(), 2))
    if not pairs:
        nothing = np.full(len(point.names), np.nan)
        return Score(np.nan, nothing, np.nan, nothing)
    slopes = [same_signs(t, slope) for t in point.truths.values() for slope in point.slopes]
    return Score(
        cosine=float(np.mean([cosine(a, b) for a, b in pairs])),
        signs=np.mean([same_signs(a, b) for a, b in pairs], axis=0),
        error=float(np.mean([relative_error(a, b) for a, b in pairs])),
        slope_signs=np.mean(slopes, axis=0) if slopes else np.full(len(point.names), np.nan),
    )


def estimators(
    entries: Sequence[Mapping[str, Any]] | None, default: Sequence[Estimator] = ESTIMATORS
) -> list[Estimator]:
    """Estimators from their entries in a YAML file; the default for None.

    Raises:
        UserError: an entry has a setting that there is not.
    """
    if entries is None:
        return list(default)
    try:
        return [Estimator(**entry) for entry in entries]
    except TypeError as error:
        raise UserError(f"An estimator cannot be made: {error}; correct its entry.") from error
