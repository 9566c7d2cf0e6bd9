"""Regret on quadratics with noise, by method and meta optimizer."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context
from glocal_exp.report.tables.grouped import Found

DIVERGED = 1e3
"""A final loss so many times the best schedule's, or none at all, counts as diverged."""
SETTING = ["outer_steps", "method", "meta_optimizer"]


def regrets(context: Context, study: str, labels: Mapping[str, Mapping[str, str]]) -> Found:
    """Of each method, meta optimizer and length.

    Geometric means over what did not diverge: of all runs, and of the worst spectrum and start.

    Args:
        labels: column -> value -> as printed, in the order in which it is printed.
    """
    frame = study_rows.load(context, study)
    source = study_rows.provenance(frame)
    summary = summarize(frame)
    for column, order in reversed(labels.items()):
        places = {value: place for place, value in enumerate(order)}
        summary = summary[summary[column].isin(places)]
        summary = summary.sort_values(column, key=lambda c: c.map(places), kind="stable")
    words = {"runs": int(summary["runs"].max()), "diverged_at": f"{DIVERGED:,.0f}"}
    return Found(summary, [source], words, {k: dict(v) for k, v in labels.items()})


def summarize(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting: `regret`, `worst`, `diverged` and `runs`."""
    rows = []
    for setting, runs in frame.groupby(SETTING, sort=False):
        fine = np.isfinite(runs["regret"]) & (runs["regret"] < DIVERGED)
        logs = np.log(runs.loc[fine, "regret"].astype(float))
        cells = logs.groupby([runs["spectrum"], runs["start"]]).mean()
        row = dict(zip(SETTING, setting, strict=True))
        row |= {"regret": np.exp(logs.mean()), "worst": np.exp(cells.max())}
        rows.append({**row, "diverged": int((~fine).sum()), "runs": len(runs)})
    return pd.DataFrame(rows)


def cell(regret: float, worst: float, diverged: int) -> str:
    """As printed."""
    return f"{regret:.2f} ({worst:.1f}{f', {diverged:g} diverged' if diverged else ''})"
