"""A template: the work that each method did (glocal_exp/report/tables/<id>.py)."""

from collections.abc import Sequence

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context
from glocal_exp.report.selection import select_all
from glocal_exp.report.tables.grouped import Found


def work(context: Context, experiments: Sequence[str]) -> Found:
    """A row a run; the YAML file says how they are grouped and what is printed of a group.

    Args:
        experiments: folders of stored runs; what follows the context are the file's settings.

    Raises:
        MissingRuns: no run is stored.
    """
    selections, missing = select_all(context, experiments)
    rows = [
        {
            "experiment": name,
            "method": run.method,
            "plain_steps": run.last("plain_steps"),  # at the end of training; counts add up
            "validation_gradients": run.last("validation_gradients"),
        }
        for name, selection in selections.items()
        for run in selection.runs
    ]
    sources = caption.paragraphs(selections.values(), context)
    return Found(pd.DataFrame(rows), sources, missing=missing)
