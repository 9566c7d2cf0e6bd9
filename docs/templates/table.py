"""A template: the work that each method did (glocal_exp/report/tables/<id>.py)."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.selection import select_all
from glocal_exp.report.sheet import Column, Sheet

COLUMNS = (
    Column("experiment", "experiment", words=True, once=True),
    Column("method", "method", words=True),
    Column("plain steps", "plain_steps", "{:,.0f}"),
    Column("validation gradients", "validation_gradients", "{:,.0f}"),
)
"""What is printed of a record: Markdown, LaTeX and the CSV file come from the same."""


@dataclass(frozen=True)
class Work(Artifact):
    """One row a method of each experiment; fields are the entries of the YAML file.

    Attributes:
        experiments: folders of stored runs.
    """

    experiments: Sequence[str]

    def make(self, context: Context) -> Sheet:
        """The table with its caption; `MissingRuns`, of `select_all`, if no run is stored."""
        selections, missing = select_all(context, self.experiments)
        records = [
            {"experiment": name, "method": method, **self._counts(run.metrics)}
            for name, selection in selections.items()
            for method in selection.methods
            for run in selection.of(method)[:1]
        ]
        text = self.caption(*caption.paragraphs(selections.values(), context))
        return Sheet(pd.DataFrame(records), COLUMNS, text, missing)

    def _counts(self, metrics: pd.DataFrame) -> dict[str, float]:
        """At the end of training; counts are cumulative."""
        return {name: metrics[name].iloc[-1] for name in ("plain_steps", "validation_gradients")}
