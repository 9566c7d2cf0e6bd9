"""The scoreboard: every claim of the paper with its verdict."""

from collections import Counter
from pathlib import Path

import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.claims.criterion import NOT_RUN, Finding
from glocal_exp.report.objects import entries, instantiate
from glocal_exp.report.tables.grouped import Found

NEEDED = {"place", "claim", "paper", "criterion"}
UNREADABLE = (KeyError, NameError, SyntaxError)  # of a condition; pandas' own is a NameError


def claims(context: Context, file: str) -> Found:
    """A row a claim, in the order of the paper's text.

    Args:
        file: seen from the repository; by id what a claim says, where, and what decides it.
    """
    path = context.configs.parent / file
    rows, missing = [], []
    for name, settings in entries(path).items():
        finding, lacking = judge(name, settings, path, context)
        missing += lacking
        rows.append(
            {
                "id": name,
                **{key: settings[key] for key in ("place", "claim", "paper")},
                "verdict": finding.verdict,
                "ours": finding.ours,
                "size": finding.size,
            }
        )
    if all(row["verdict"] == NOT_RUN for row in rows):
        raise MissingRuns(*dict.fromkeys(missing))
    counts = Counter(row["verdict"] for row in rows)
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return Found(pd.DataFrame(rows), [], {"total": total}, missing=tuple(dict.fromkeys(missing)))


def judge(name: str, settings: dict, path: Path, context: Context) -> tuple[Finding, list[str]]:
    """What is found of a claim, and the experiments whose runs it lacks; of studies none."""
    if not isinstance(settings, dict) or set(settings) != NEEDED:
        raise UserError(f"{path}: {name} should have {', '.join(sorted(NEEDED))}.")
    lacking = []
    try:
        if settings["criterion"] is not None:
            return instantiate(settings["criterion"], path).judge(context), []
    except UNREADABLE as error:
        raise UserError(f"{path}: {name}'s criterion cannot be read: {error}.") from error
    except MissingRuns as error:
        lacking = [] if isinstance(error, MissingStudy) else list(error.args)
    return Finding(NOT_RUN, "", ""), lacking
