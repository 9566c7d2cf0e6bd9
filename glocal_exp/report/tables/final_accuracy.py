"""Final test accuracy by experiment and method, every seed, and differences paired by seed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.formats import DAGGER, method_label, signed
from glocal_exp.report.selection import Selection, select_all
from glocal_exp.report.tables.grouped import Found
from glocal_exp.stats import mean_interval, paired_differences

DIFFERENCE = ("difference", "difference_low", "difference_high", "difference_seeds")


def accuracies(
    context: Context, experiments: Mapping[str, str], subject: str, methods: Sequence[str]
) -> Found:
    """A row a method of each experiment.

    Args:
        experiments: experiment -> its label.
        subject: the method that the others are compared with.
        methods: those that the comparison needs.
    """
    found, missing = select_all(context, experiments, methods)
    rows = [row for one in found.values() for row in _rows(one, subject)]
    if not rows:
        raise MissingRuns(*experiments)
    labels = {
        "experiment": {n: caption.marked(experiments[n], one.runs) for n, one in found.items()},
        "method": {row["method"]: method_label(row["method"]) for row in rows},
    }
    sources = caption.paragraphs(found.values(), context)
    return Found(pd.DataFrame(rows), sources, {"dagger": DAGGER}, labels, missing=missing)


def _rows(selection: Selection, subject: str) -> Iterator[dict[str, Any]]:
    for method in selection.methods:
        finals, lost = selection.finals(method), selection.lost(method)
        if not finals:
            continue
        each = (f"{v:.2f}{DAGGER if seed in lost else ''}" for seed, v in finals.items())
        row = {"experiment": selection.experiment, "steps": selection.steps, "method": method}
        row |= selection.final_numbers(method) | {"each": ", ".join(each)}
        apart = paired_differences(selection.finals(subject), finals)
        if method != subject and apart:
            values = (*mean_interval(apart), float(len(apart)))
            row |= dict(zip(DIFFERENCE, values, strict=True))
        yield row


def difference(mean: float, low: float, high: float, seeds: float) -> str:
    """With its interval, if it is over several seeds."""
    return signed(mean) + (f" [{signed(low)}, {signed(high)}]" if seeds > 1 else "")
