"""How a run ended, or how far it is: a few numbers of its records."""

from collections.abc import Mapping, Sequence
from itertools import islice
from math import isfinite
from statistics import fmean
from typing import Any

LATEST = 5
"""Evaluations at the end whose mean is told beside the last: no choice of the best."""
KEPT_APART = ("hypergradient/", "diagnostic/")
COUNTS = (
    "seed", "outer_step", "step", "skipped", "diverged", "plain_steps", "tangent_steps",
    "reverse_steps", "validation_gradients", "seconds", "compile_seconds", "evaluation_seconds",
)  # fmt: skip


def ends(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """`final` and `latest` of every metric and hyperparameter, steps done, seconds, `diverged`.

    Args:
        rows: metrics.csv, as text without its empty cells.
    """
    names = dict.fromkeys(name for row in rows for name in row if name not in COUNTS)
    kept = [name for name in names if not name.startswith(KEPT_APART)]
    last = {name: values for name in kept if (values := _last(rows, name))}
    return {
        "final": {name: values[0] for name, values in last.items()},
        "latest": {name: fmean(values) for name, values in last.items()},
        "step": int(rows[-1]["step"]) if rows else 0,
        "seconds": sum(float(row.get("seconds", 0)) for row in rows),
        "diverged": any(row.get("diverged") == "True" for row in rows),
    }


def _last(rows: Sequence[Mapping[str, str]], name: str) -> list[float]:
    """The last values that were measured, the latest first."""
    cells = (float(row[name]) for row in reversed(rows) if name in row)
    return list(islice((value for value in cells if isfinite(value)), LATEST))
