"""Estimates beside the global hypergradient, or other derivatives: a row each, of every point."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import fidelity, truth_points
from glocal_exp.report.artifact import Context
from glocal_exp.report.estimators import estimators, load_estimator, settings_of
from glocal_exp.report.tables.grouped import Found
from glocal_exp.report.vectors import cosine

AGREED = 0.5
"""Choice: truths agree where the cosines, to each other and to the slopes, are above it."""
REPEATS = ("float64", "start1")


def by_estimator(
    context: Context, names: Sequence[str] | None = None, without: Sequence[str] = ()
) -> Found:
    """How close each comes to the truth.

    Args:
        names: files of configs/estimator; all if None.
        without: those of them that are left out.
    """
    found, source = fidelity.points(context)
    compared, notes = estimators(context.configs, found, names, without)
    rows = fidelity.scores(found, compared)
    gradients = {one.label: one.gradients(found[0]) for one in compared}
    rows["gradients"] = rows["estimator"].map(gradients.get).astype(float)
    return _of_settings(rows, found, [*notes, source])


def by_truth(context: Context, repeated: int, names: Sequence[str] | None = None) -> Found:
    """How often each is right by every kind of truth, and keeps its direction when repeated.

    Args:
        repeated: validation images on which an interval was computed again.
    """
    found, source = fidelity.points(context)
    compared, notes = estimators(context.configs, found, names)
    rows = fidelity.scores(found, compared)
    agreed = np.array([truths_agree(point) for point in found])
    signs = {f"sign_{name}" for name in found[0].names}
    for column in ("above", *signs):
        rows[f"{column}_where_agreed"] = rows[column].where(agreed[rows["point"]])
    first = str(repeated)
    again = {one.label: one for one in compared if one.validation in (None, repeated)}
    for way in REPEATS:
        rows[f"repeats_{way}"] = [
            fidelity.above(
                cosine(again[label](found[place], first), again[label](found[place], way))
            )
            if label in again and {first, way} <= found[place].intervals.keys()
            else np.nan
            for label, place in zip(rows["estimator"], rows["point"], strict=True)
        ]
    words = {"agreed": AGREED, "number": sum(agreed), "points": len(found)}
    return _of_settings(rows, found, [*notes, source], words)


def truths_agree(point: fidelity.Point) -> bool:
    """Whether the playouts agree with each other, and their mean with the slopes."""
    if len(point.truths) < 2 or not len(point.slopes):
        return False
    mean, slopes = np.mean(list(point.truths.values()), axis=0), point.slopes.mean(axis=0)
    return bool(fidelity.ceiling(point)["cosine"] > AGREED and cosine(mean, slopes) > AGREED)


def by_settings_of_glocal(
    context: Context,
    kinds: Mapping[str, Mapping[str, Any]],
    grid: Sequence[tuple[int, int]],
    validation: Sequence[int | None],
) -> Found:
    """How much glocal's direction hangs on window, delays and validation images.

    Args:
        kinds: label -> settings of `SteadyStateEstimator`.
        grid: pairs of window and delays.
        validation: images that h_t is taken on; all for None.
    """
    found, source = fidelity.points(context)
    local, glocal = (load_estimator(context.configs, name) for name in ("local", "glocal"))
    compared = [replace(local, validation=images) for images in validation]
    for label, changes in kinds.items():
        steady = replace(glocal.method.steady_state, **changes)  # pyright: ignore
        for (window, delays), images in product(grid, validation):
            settings: Any = {"window": window, "delays": delays, "steady_state": steady}
            method = replace(glocal.method, **settings)  # pyright: ignore
            compared.append(replace(glocal, label=label, method=method, validation=images))
    words = {
        "combinations": ", ".join(f"{window} and {delays}" for window, delays in grid),
        "images": ", ".join("all" if v is None else f"{v:,}" for v in validation),
    }
    return _of_settings(fidelity.scores(found, compared), found, [source], words)


def by_derivative(context: Context, moved: Sequence[str]) -> Found:
    """How often each has the sign of each derivative of the final loss, and how near its size.

    Args:
        moved: the hyperparameters.
    """
    found, source = truth_points.points(context)
    compared, notes = estimators(context.configs, found)
    rows = truth_points.scores(found, compared).query("hyperparameter in @moved")
    seeds = ", ".join(map(str, sorted({point.seed for point in found})))
    words = {"points": len(found), "settings": settings_of(found), "of_seeds": seeds}
    order = {"truth": ["held", "plan", "schedule"], "hyperparameter": list(moved)}
    labels = {name: {v: v.replace("_", " ") for v in values} for name, values in order.items()}
    return Found(rows, [*notes, source], words, labels)


def sensitivity(context: Context, validation: int, steps: Sequence[int]) -> Found:
    """How reproducible h_t is inside an interval: a row each point.

    Args:
        validation: images that h_t is taken on.
        steps: t, from 1.
    """
    found, source = fidelity.points(context)
    rows = [
        {"setting": point.setting, "s": point.s}
        | {
            f"{way} t={t}": fidelity.differences(point.intervals, str(validation), way).get(
                t, np.nan
            )
            for way in REPEATS
            for t in steps
        }
        for point in sorted(found, key=lambda point: (point.setting, point.s))
    ]
    return Found(pd.DataFrame(rows), [source])


def _of_settings(
    rows: pd.DataFrame,
    found: Sequence[fidelity.Point],
    sources: Sequence[str],
    words: Mapping[str, Any] | None = None,
) -> Found:
    marks, listed = dict[str, str](), []
    for number, (setting, of) in enumerate(fidelity.by_setting(found).items(), 1):
        marks[setting] = f"[{number}]"
        seeds = ", ".join(map(str, sorted({point.seed for point in of})))
        listed.append(f"[{number}] {setting} (seeds {seeds}; {len(of)} points)")
    words = {"truths": fidelity.TRUTHS, "settings": "; ".join(listed)} | dict(words or {})
    return Found(rows, sources, words, {"setting": marks}, found[0].names)
