"""Table 3: run time by method, with the work that explains it, beside the paper's numbers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.formats import method_label
from glocal_exp.report.selection import Selection, select
from glocal_exp.report.tables.grouped import Found


def run_times(context: Context, experiments: Sequence[str], methods: Sequence[str]) -> Found:
    """A row a method.

    Args:
        experiments: the first of them that has runs is read.
        methods: those that the comparison needs.
    """
    first = experiments[0]
    stored = (select(context.runs, name, methods) for name in experiments)
    selection = next((one for one in stored if one), None)
    rows = list(_rows(selection, context)) if selection else []
    if selection is None or not rows:
        raise MissingRuns(first)
    sources = [caption.describe(selection, context)]
    if selection.experiment != first:
        sources.append(
            f"No run of {first} is stored: these are the times of {selection.experiment}, whose "
            "runs may have shared the machine."
        )
    complete = selection.experiment == first and not selection.incomplete
    labels = {"method": {row["method"]: method_label(row["method"]) for row in rows}}
    missing = () if complete else (first,)
    return Found(pd.DataFrame(rows), sources, labels=labels, missing=missing)


def _rows(selection: Selection, context: Context) -> Iterator[dict[str, Any]]:
    """Full-precision numbers of each method; only finished runs have a time."""
    finished = {name: [r for r in selection.of(name) if r.finished] for name in selection.methods}
    none = [run.total("seconds") for run in finished.get("none", ())]
    printed_none = context.printed("table3", "run_time", "none")
    for method, runs in finished.items():
        if not runs:
            continue
        seconds = pd.Series([run.total("seconds") for run in runs])
        printed = context.printed("table3", "run_time", method)
        yield {
            "method": method,
            "steps": selection.steps,
            "seeds": len(runs),
            "seconds_mean": seconds.mean(),
            "seconds_deviation": seconds.std(),
            "seconds_per_1000_steps": seconds.mean() / selection.steps * 1000,
            "times_none": seconds.mean() / np.mean(none) if none and sum(none) else None,
            "compile_seconds_mean": np.mean([run.total("compile_seconds") for run in runs]),
            "evaluation_seconds_mean": np.mean([run.total("evaluation_seconds") for run in runs]),
            "tangent_steps": np.mean([run.last("tangent_steps") for run in runs]),
            "validation_gradients": np.mean([run.last("validation_gradients") for run in runs]),
            "paper_seconds": printed,
            "paper_times_none": printed / printed_none if printed and printed_none else None,
        }
