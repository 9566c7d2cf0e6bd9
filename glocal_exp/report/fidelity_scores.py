"""How estimates compare with the truths of their points: a frame that tables and figures read."""

from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.report.estimators import Estimator
from glocal_exp.report.fidelity_points import Point
from glocal_exp.report.vectors import Vector, cosine, relative_error, same_signs

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
    truths = list(point.truths.values())
    error = relative_error(estimate, _mean(truths, len(estimate)))
    return _compared(point, [(estimate, truth) for truth in truths], [estimate], error)


def ceiling(point: Point) -> dict[str, float]:
    """The truths of a point beside each other: no estimate can be expected to do better.

    NaN with fewer than two.
    """
    truths = list(point.truths.values())
    pairs = list(permutations(truths, 2))
    error = _number([relative_error(*pair) for pair in pairs])
    return _compared(point, pairs, truths, error)


def _compared(
    point: Point, pairs: Sequence[tuple[Vector, Vector]], estimates: Sequence[Vector], error: float
) -> dict[str, float]:
    q = len(point.names)
    sizes = np.abs(_mean(list(point.truths.values()), q))
    counts = sizes >= NEGLIGIBLE * sizes.max()
    slope = _mean(point.slopes, q)
    signs = _mean([same_signs(*pair) for pair in pairs], q)
    slope_signs = _mean([same_signs(e, one) for e in estimates for one in point.slopes], q)
    angle = _number([cosine(*pair) for pair in pairs])
    slope_angle = _number([cosine(e, slope) for e in estimates])
    return {
        "cosine": angle,
        "above": above(angle),
        "error": error,
        "signs": _number(signs[counts]),
        "slope_cosine": slope_angle,
        "slope_above": above(slope_angle),
        "slope_signs": _number(slope_signs[counts]),
    } | {f"sign_{name}": float(sign) for name, sign in zip(point.names, signs, strict=True)}


def above(angle: float) -> float:
    """Whether a cosine is above 0: 1 or 0, NaN for none."""
    return float(angle > 0) if np.isfinite(angle) else np.nan


def _mean(vectors: Sequence[Vector] | Float[np.ndarray, "n q"], q: int) -> Vector:
    return np.mean(vectors, axis=0) if len(vectors) else np.full(q, np.nan)


def _number(values: Sequence[float] | Vector) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
