"""Runs from several starts under several meta optimizers: where they end, and at what cost."""

from collections.abc import Mapping, Sequence

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import DAGGER
from glocal_exp.report.starts import cells, gains
from glocal_exp.report.tables.grouped import Found
from glocal_exp.report.tables.methods import accuracy_rows, printed


def recovery(
    context: Context,
    experiment: str,
    meta_optimizers: Mapping[str, str],
    methods: Sequence[str],
    subject: str,
) -> Found:
    """Final accuracy beside constant hyperparameters: a row a method of each start.

    Args:
        meta_optimizers: id -> its label.
        subject: the method that the others are compared with.
    """
    found = cells(context, experiment, meta_optimizers, methods)
    rows = [
        {"meta_optimizer": cell.meta_optimizer, "start": cell.start} | row
        for cell in found
        for row in accuracy_rows(cell.selection, subject)
    ]
    sources = [caption.describe(found[0].selection, context)]
    labels = {"method": printed(rows), "meta_optimizer": meta_optimizers}
    return Found(pd.DataFrame(rows), sources, {"dagger": DAGGER}, labels)


def costs_and_gains(
    context: Context, experiment: str, meta_optimizers: Mapping[str, str], methods: Sequence[str],
    starts: Sequence[float],
) -> Found:  # fmt: skip
    """The numbers behind figure=pareto: a row a method; see `report.starts.gains`."""
    rows, found = gains(context, experiment, meta_optimizers, methods, starts)
    labels = {"method": printed(rows.to_dict("records")), "meta_optimizer": meta_optimizers}
    labels |= {"front": {True: "on it", False: ""}}
    words = {"starts": ", ".join(f"{start:g}" for start in starts)}
    return Found(rows, [caption.describe(found[0].selection, context)], words, labels)
