"""Final accuracy by start, meta optimizer and method, beside constant hyperparameters."""

from collections.abc import Mapping, Sequence

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import DAGGER
from glocal_exp.report.starts import cells
from glocal_exp.report.tables.grouped import Found
from glocal_exp.report.tables.methods import accuracy_rows, printed


def recovery(
    context: Context,
    experiment: str,
    meta_optimizers: Mapping[str, str],
    methods: Sequence[str],
    subject: str,
) -> Found:
    """A row a method of each start and meta optimizer.

    Args:
        experiment: whose runs.
        meta_optimizers: id -> its label.
        methods: those that are listed.
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
