"""Theorem 3.1: where it fails, and its terms and both its sides on real training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.report import caption, study_rows
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.estimators import Estimator, load_estimator
from glocal_exp.report.fidelity import Point, points
from glocal_exp.report.runs import stored_spectrum
from glocal_exp.report.selection import select_all
from glocal_exp.report.tables.grouped import Found


def gaps(context: Context) -> Found:
    """Each gap with the two sides of what it contradicts."""
    frame = study_rows.load(context, "theorem")
    found = study_rows.needed(frame, "theorem", {"unit": "gaps"})
    entries = ["name", "claim", "system", "left", "right"]
    return Found(found.loc[:, entries], [study_rows.provenance(frame)])


def terms(context: Context, experiments: Mapping[str, str], unit_tolerance: float) -> Found:
    """Those that stored runs let us compute, a row each interval of a seed.

    Args:
        experiments: experiment -> its label.
        unit_tolerance: within which a mode is steady.
    """
    found, missing = select_all(context, experiments, where={"method": "glocal"})
    rows: list[dict[str, Any]] = [
        {"experiment": experiments[name], "s": s}
        | computable_terms(arrays, int(run.stored.column("interval")), unit_tolerance)
        for name, selection in found.items()
        for run, s, arrays in selection.intervals("modes")
    ]
    if not rows:
        raise MissingRuns(*experiments)
    labels = list(experiments.values())
    rows.sort(key=lambda row: (labels.index(row["experiment"]), row["s"]))
    sources = caption.paragraphs(found.values(), context)
    return Found(pd.DataFrame(rows), sources, missing=missing)


def computable_terms(
    arrays: Mapping[str, np.ndarray], interval: int, unit_tolerance: float
) -> dict[str, float]:
    """What of Eq. 15 follows from one interval's trajectory and spectrum, over |h_tau|."""
    trajectory: Float[np.ndarray, "sigma q"] = np.asarray(arrays["trajectory"], np.float64)
    spectrum = stored_spectrum(arrays)
    snapshots = delay_embedding(trajectory, spectrum.delays)
    modes = spectrum.modes / np.linalg.norm(spectrum.modes, axis=0)
    inverse, moduli = np.linalg.pinv(modes), np.abs(spectrum.eigenvalues)
    b = inverse @ snapshots[:, -2] * spectrum.eigenvalues
    residual = snapshots[:, -1] - np.real(modes @ b)
    scale = float(np.linalg.norm(trajectory[-1]))
    condition = float(np.linalg.norm(modes, 2) * np.linalg.norm(inverse, 2))
    decayed = np.where(moduli < 1, np.abs(b) * moduli**interval, 0)
    dropped = ~spectrum.steady(unit_tolerance)
    return {
        "radius": spectrum.spectral_radius,
        "condition": condition,
        "residual_embedded": float(np.linalg.norm(residual)) / scale,
        "residual": float(np.linalg.norm(residual[: spectrum.block_size])) / scale,
        "first_term": condition * float(np.linalg.norm(residual)) / scale,
        "second_term": float(np.sum(decayed[dropped])) / scale,
        "second_term_strict": float(np.sum(decayed)) / scale,
        "estimate": float(np.linalg.norm(arrays["hypergradient"])) / scale,
    }


def sides(context: Context, estimator: str) -> Found:
    """Both, as far as they can be known: h_T was played out in the fidelity study.

    Args:
        estimator: of configs/estimator; one whose method is `Glocal`.
    """
    found, source = points(context)
    one = load_estimator(context.configs, estimator)
    ordered = sorted(found, key=lambda point: (point.setting, point.s))
    rows = [{"setting": point.setting, "s": point.s} | both_sides(point, one) for point in ordered]
    return Found(pd.DataFrame(rows), [source], vars(one.method))


def both_sides(point: Point, estimator: Estimator) -> dict[str, float]:
    """Left side and computable terms at a point, over |h_tau|; NaN where no playout is finite."""
    method: Any = estimator.method
    h, made = point.intervals["all"], estimator.estimate(point, "all")
    arrays = {"hypergradient": made.hypergradient, "trajectory": h[-method.window :]}
    tolerance = method.steady_state.unit_tolerance
    known = computable_terms({**made.arrays, **arrays}, point.interval, tolerance)
    scale, truths = float(np.linalg.norm(h[-1])), list(point.truths.values())
    base = point.truths.get("base", np.full(len(point.names), np.nan))
    apart = [np.linalg.norm(a - b) for n, a in enumerate(truths) for b in truths[:n]]
    left = float(np.linalg.norm(base - made.hypergradient)) / scale
    return known | {
        "left": left,
        "covered": known["first_term"] + known["second_term"] >= left,
        "truth": float(np.linalg.norm(base)) / scale,
        "truths": float(np.mean(apart)) / scale if apart else float("nan"),
    }
