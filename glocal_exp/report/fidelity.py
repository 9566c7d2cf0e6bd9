"""The fidelity study's records as points, and how estimates compare with their truths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, permutations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.methods.method import Measured, Wanted
from glocal_exp.report import estimators
from glocal_exp.report.artifact import Context
from glocal_exp.report.vectors import Vector, Vectors, cosine, relative_error, same_signs
from glocal_exp.store.studies import unit_arrays

TRUTHS = "another truth"  # what the row is called that compares truths with each other
NEGLIGIBLE = 0.01
"""Below this share of the largest component of the truth, a sign says nothing of the direction."""


@dataclass(frozen=True, kw_only=True)
class Point(estimators.Point):
    """What was played out from the start of an interval too; of the interval itself all h_t."""

    # by variation, h at the end of each interval up to T
    playouts: dict[str, Float[np.ndarray, "intervals q"]]
    # of the final loss by finite differences, one row a start
    slopes: Float[np.ndarray, "starts q"]

    def holds(self, wanted: Wanted) -> bool:
        return not replace(wanted, steps=(), sharpness=False)

    def measured(self, interval: str, wanted: Wanted) -> Measured:
        return Measured(self.intervals[interval][list(wanted.steps)])

    @property
    def truths(self) -> dict[str, Vector]:
        """h_T of each playout that stayed finite."""
        ends = {name: h[-1] for name, h in self.playouts.items()}
        return {name: h for name, h in ends.items() if np.isfinite(h).all()}


def differences(
    found: Mapping[str, Float[np.ndarray, "n q"]], first: str, second: str, steps: int = 1
) -> pd.Series:
    """|h_t - h'_t| / |h_t| by t, every so many steps; empty where one of the two is missing."""
    if first not in found or second not in found:
        return pd.Series(dtype=float)
    h, other = found[first], found[second]
    apart = relative_error(other, h)
    return pd.Series(apart, index=steps * np.arange(1, len(apart) + 1))


def points(context: Context) -> tuple[list[Point], str]:
    """Every point with an interval and a truth, as `report.estimators.points` has them."""
    return estimators.points(context, "fidelity", _point)


def by_setting(found: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each setting, in whose order they are."""
    return {name: list(of) for name, of in groupby(found, lambda point: point.setting)}


def _point(folder: str, frame: pd.DataFrame, about: dict[str, Any]) -> Point | None:
    intervals, playouts = (
        {
            unit.removeprefix(prefix): unit_arrays(folder, unit)["h"]
            for unit in frame.unit.unique()
            if unit.startswith(prefix)
        }
        for prefix in (f"s{about['s']}.interval.", f"s{about['s']}.truth.")
    )
    if "all" not in intervals or "base" not in playouts:
        return None
    known = frame.reindex(columns=["kind", "unit", "hyperparameter", "slope"])
    slopes = (
        known[known.kind == "slope"]
        .pivot_table(index="unit", columns="hyperparameter", values="slope", sort=False)
        .reindex(columns=list(about["names"]))
        .to_numpy(float)
    )
    return Point(**about, intervals=intervals, playouts=playouts, slopes=slopes)


def scores(found: Sequence[Point], compared: Iterable[estimators.Estimator]) -> pd.DataFrame:
    """Of all estimates at all points, first the truths' with each other, one row each.

    Columns name the `estimator` and its point (`setting`, `seed`, `s`); `point` is its place. The
    others are those of `score`.
    """
    rows = []
    for estimator in (None, *compared):
        for place, point in enumerate(found):
            about = {"setting": point.setting, "seed": point.seed, "s": point.s, "point": place}
            of = ceiling(point) if not estimator else score(point, estimator(point))
            rows.append({"estimator": estimator.label if estimator else TRUTHS} | about | of)
    return pd.DataFrame(rows)


def score(point: Point, estimate: Vector) -> dict[str, float]:
    """An estimate beside every truth of its point, on average over them.

    `cosine` is that of the angle and `above` whether it is above 0, `error` relative to the mean
    truth, `sign_<name>` the share of truths with the same sign, and `signs` its mean over the
    hyperparameters that count. With the finite differences for truths: `slope_cosine`, to their
    mean, `slope_above` and `slope_signs`.
    """
    truths = _truths(point)
    error = relative_error(estimate, _mean(truths))
    each = np.broadcast_to(estimate, truths.shape)
    return _compared(point, each, truths, estimate[None], error)


def ceiling(point: Point) -> dict[str, float]:
    """The truths of a point beside each other: no estimate can be expected to do better.

    NaN with fewer than two.
    """
    truths = _truths(point)
    pairs = np.array(list(permutations(truths, 2))).reshape(-1, 2, len(point.names))
    first, second = pairs[:, 0], pairs[:, 1]
    return _compared(point, first, second, truths, _mean(relative_error(first, second)))


def _compared(
    point: Point, first: Vectors, second: Vectors, estimates: Vectors, error: float
) -> dict[str, float]:
    """Pairs with each other, a row each, and estimates with the slopes."""
    sizes = np.abs(_mean(_truths(point)))
    counts = sizes >= NEGLIGIBLE * sizes.max()
    signs, angle = _mean(same_signs(first, second)), _mean(cosine(first, second))
    slope_signs = _mean(same_signs(estimates[:, None], point.slopes).reshape(-1, len(signs)))
    slope_angle = _mean(cosine(estimates, _mean(point.slopes)))
    return {
        "cosine": angle,
        "above": above(angle),
        "error": error,
        "signs": _mean(signs[counts]),
        "slope_cosine": slope_angle,
        "slope_above": above(slope_angle),
        "slope_signs": _mean(slope_signs[counts]),
    } | {f"sign_{name}": sign for name, sign in zip(point.names, signs, strict=True)}


def above(angle: float) -> float:
    """Whether a cosine is above 0: 1 or 0, NaN for none."""
    return float(angle > 0) if np.isfinite(angle) else np.nan


def _truths(point: Point) -> Vectors:
    return np.array(list(point.truths.values())).reshape(-1, len(point.names))


def _mean(rows: np.ndarray) -> Any:
    """Over the rows; NaN of none."""
    return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1:], np.nan)[()]
