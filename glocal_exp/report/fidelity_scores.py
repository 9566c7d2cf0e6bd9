"""How estimates compare with the truths of their points: a frame that tables and figures read."""

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.estimators import Estimator
from glocal_exp.report.fidelity_points import Point
from glocal_exp.report.vectors import Vector, Vectors, cosine, relative_error, same_signs

TRUTHS = "another truth"
"""What the row is called that compares truths with each other."""
NEGLIGIBLE = 0.01
"""Below this share of the largest component of the truth, a sign says nothing of the direction."""


def scores(found: Sequence[Point], estimators: Iterable[Estimator]) -> pd.DataFrame:
    """Of all estimates at all points, first the truths' with each other, one row each.

    Columns name the `estimator` and its point (`setting`, `seed`, `s`); `point` is its place. The
    others are those of `score`.
    """
    rows = []
    for estimator in (None, *estimators):
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
