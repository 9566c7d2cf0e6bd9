"""What the report is made of: stored runs and studies, tables, and what experiments are called."""

import re
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
    figures: Path

    @classmethod
    def of(cls, repository: Path, home: Path, tables: Path) -> "Source":
        """Of the runs and studies in `home`, with the tables in that folder."""
        paper = repository / "results" / "paper.csv"
        printed = pd.read_csv(paper) if paper.exists() else NO_PAPER
        folders = home / "runs", printed, home / "studies", repository / "configs"
        return cls(Context(*folders), Lookup(tables), home / "figures")

    @cached_property
    def labels(self) -> dict[str, str]:
        """By experiment, in the order in which they are shown; others by what their files say."""
        file = self.context.configs / "table" / f"{ACCURACIES}.yaml"
        named: dict[str, str] = entries(file)["settings"]["experiments"]
        stored = sorted(path.name for path in self.context.runs.glob("*") if path.is_dir())
        return named | {n: self._headline(n) for n in stored if n not in named}

    def _headline(self, experiment: str) -> str:
        """The first sentence of the comment at the top of its file; its id without one."""
        file = self.context.configs / "experiment" / f"{experiment}.yaml"
        lines = file.read_text().splitlines() if file.exists() else []
        comments = [line.removeprefix("# ") for line in lines if re.match("# [^@]", line)]
        return re.split(r"[.;] |\.$", comments[0])[0] if comments else experiment

    @cached_property
    def experiments(self) -> dict[str, Selection]:
        """What is compared of each experiment that has a run."""
        found = {name: select(self.context.runs, name) for name in self.labels}
        return {name: one for name, one in found.items() if one}
