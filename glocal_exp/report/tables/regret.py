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
    for name, order in labels.items():
        summary[name] = pd.Categorical(summary[name], list(order))
    summary = summary.dropna(subset=list(labels)).sort_values(list(labels))
    words = {"runs": summary["runs"].max(), "diverged_at": f"{DIVERGED:,.0f}"}
    printed = {name: dict(order) for name, order in labels.items()}
    return Found(summary, [study_rows.provenance(frame)], words, printed)


def logarithms(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs with `log`, that of their regret; NaN for those that diverged."""
    regret = frame["regret"].astype(float)
    return frame.assign(log=np.log(regret.where(regret < DIVERGED)))


def summarize(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting: `regret`, `worst`, `diverged` and `runs`."""
    logs: Any = logarithms(frame)
    found = logs.groupby(SETTING, sort=False)["log"].agg(["mean", "count", "size"])
    cells = logs.groupby([*SETTING, "spectrum", "start"])["log"].mean().groupby(SETTING).max()
    found = found.assign(
        regret=np.exp(found["mean"]), worst=np.exp(cells),
        diverged=found["size"] - found["count"], runs=found["size"],
    )  # fmt: skip
    return found[["regret", "worst", "diverged", "runs"]].reset_index()


def cell(diverged: float, regret: float, worst: float) -> str:
    """As printed."""
    lost = f"{diverged:g} diverged"
    if not np.isfinite(regret):
        return lost
    return f"{regret:.2f} ({worst:.1f}{f', {lost}' if diverged else ''})"
