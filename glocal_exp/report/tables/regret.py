"""Regret on quadratics with noise, by method and meta optimizer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context
from glocal_exp.report.tables.grouped import Found

DIVERGED = 1e3  # a final loss so many times the best schedule's, or none at all, counts as diverged
SETTING = ["momentum", "outer_steps", "method", "meta_optimizer"]


def regrets(context: Context, study: str, labels: Mapping[str, Mapping[str, str]]) -> Found:
    """Of each method, meta optimizer and length.

    Geometric means over what did not diverge: of all runs, and of the worst spectrum and start.

    Args:
        labels: column -> value -> as printed, in the order in which it is printed.
    """
    frame = study_rows.load(context, study)
    summary: Any = summarize(frame)
    if len(set(summary["momentum"])) > 1:
        raise UserError(f"study={study} has several momenta; a table is of one.")
    places = {name: {v: n for n, v in enumerate(order)} for name, order in labels.items()}
    for name in places:
        summary = summary[summary[name].isin(list(labels[name]))]
    order: Any = lambda column: column.map(places[column.name])  # noqa: E731
    summary = summary.sort_values(list(places), key=order)
    words = {"runs": summary["runs"].max(), "diverged_at": f"{DIVERGED:,.0f}"}
    printed = {name: dict(order) for name, order in labels.items()}
    return Found(summary, [study_rows.provenance(frame)], words, printed)


def summarize(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting: `regret`, `worst`, `diverged` and `runs`."""
    rows = []
    for _, runs in frame.groupby(SETTING, sort=False):
        fine: Any = runs[np.isfinite(runs["regret"]) & (runs["regret"] < DIVERGED)]
        logs = fine.assign(log=np.log(fine["regret"].to_numpy(float)))
        cells: Any = logs.groupby(["spectrum", "start"])["log"].mean()
        row = runs.iloc[0][SETTING].to_dict() | {"regret": np.exp(logs["log"].mean())}
        counts = {"diverged": len(runs) - len(fine), "runs": len(runs)}
        rows.append(row | {"worst": np.exp(cells.max())} | counts)
    return pd.DataFrame(rows)


def cell(diverged: float, regret: float, worst: float) -> str:
    """As printed."""
    lost = f"{diverged:g} diverged"
    if not np.isfinite(regret):
        return lost
    return f"{regret:.2f} ({worst:.1f}{f', {lost}' if diverged else ''})"
