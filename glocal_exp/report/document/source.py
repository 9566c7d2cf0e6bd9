"""What the report is made of: stored runs and studies, tables, and what experiments are called."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from glocal_exp.report.artifact import NO_PAPER, Context
from glocal_exp.report.document.lookup import Lookup
from glocal_exp.report.objects import entries
from glocal_exp.report.selection import Selection, select

ACCURACIES = "final_accuracy"
"""The table of final accuracies, whose file says what experiments are called."""


@dataclass(frozen=True)
class Source:
    """Where the report's words and figures look things up."""

    context: Context
    lookup: Lookup

    @classmethod
    def of(cls, repository: Path, tables: Path) -> "Source":
        """Of a checkout, with the tables in that folder."""
        results = repository / "results"
        paper = results / "paper.csv"
        printed = pd.read_csv(paper) if paper.exists() else NO_PAPER
        folders = results / "runs", printed, results / "studies", repository / "configs"
        return cls(Context(*folders), Lookup(tables))

    @cached_property
    def labels(self) -> dict[str, str]:
        """By experiment, in the order in which they are shown; others by their ids."""
        file = self.context.configs / "table" / f"{ACCURACIES}.yaml"
        named: dict[str, str] = entries(file)["settings"]["experiments"]
        stored = sorted(path.name for path in self.context.runs.glob("*") if path.is_dir())
        return named | {n: n.replace("_", " ") for n in stored if n not in named}

    @cached_property
    def experiments(self) -> dict[str, Selection]:
        """What is compared of each experiment that has a run."""
        found = {name: select(self.context.runs, name) for name in self.labels}
        return {name: one for name, one in found.items() if one}
