"""What the report is made of: stored runs and studies, cells of tables, verdicts on claims."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report import formats
from glocal_exp.report.artifact import Context
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, NOT_RUN, UNDECIDED
from glocal_exp.report.objects import entries, swept
from glocal_exp.report.selection import Selection, select
from glocal_exp.report.study_rows import chosen
from glocal_exp.report.tables.grouped import ABSENT

ACCURACIES = "final_accuracy"
"""The table of final accuracies, whose file says what experiments are called."""

VARIED = {"method", "seed", "seeds"}
HOLDS = {
    AGREES: "holds",
    DISAGREES: "does not hold",
    UNDECIDED: "is not decided",
    NOT_RUN: "has not been run",
}
"""A verdict as a verb."""


@dataclass(frozen=True)
class Lookup:
    """The tables in a folder, as `make tables` wrote them."""

    folder: Path

    def frame(self, table: str) -> pd.DataFrame:
        """A table's records; `UserError` if it is not there."""
        file = self.folder / f"{table}.csv"
        if not file.exists():
            raise UserError(f"{file} is not there; `glocal tables {table}` makes it.")
        return pd.read_csv(file)

    def has(self, table: str) -> bool:
        """Whether a table is there, of those that need not be."""
        return (self.folder / f"{table}.csv").exists()

    def text(self, table: str) -> tuple[str, str]:
        """Its Markdown: the table, and the caption below."""
        self.frame(table)
        found, _, caption = (self.folder / f"{table}.md").read_text("utf-8").partition("\n\n")
        return found, caption.strip()

    def cells(self, table: str, entry: str, where: Mapping[str, Any] | None = None) -> pd.Series:
        """An entry of all records that have these values, as far as it has been measured.

        Raises:
            UserError: the table has no such columns.
        """
        frame = self.frame(table)
        if unknown := {entry, *(where or {})} - set(frame):
            raise UserError(f"The table {table} has no {', '.join(unknown)}; correct the report.")
        found: Any = chosen(frame, where or {})[entry].dropna()
        return found

    def cell(self, table: str, entry: str, form: str = "{}", **where: Any) -> str:
        """The entry of the record that has these values, as printed; a dash if there is none."""
        found = self.cells(table, entry, where)
        if len(found) > 1:
            raise UserError(f"The table {table} has {len(found)} records where {where}, not one.")
        return formats.minus(form.format(found.iloc[0])) if len(found) else ABSENT

    def span(self, table: str, entry: str, form: str = "{:.2g}", **where: Any) -> str:
        """The smallest and the largest of an entry, `0.43 to 8.8`; a dash if there is none."""
        found = self.cells(table, entry, where).astype(float)
        ends = (found.min(), found.max()) if len(found) else ()
        return " to ".join(formats.minus(form.format(value)) for value in ends) or ABSENT

    @cached_property
    def claims(self) -> dict[str, dict[str, str]]:
        """The paper's by id, in the order of its text."""
        return self._judged("claims")

    def _judged(self, table: str) -> dict[str, dict[str, str]]:
        records: Any = self.frame(table).fillna("").set_index("id").to_dict("index")
        return records

    def claim(self, name: str) -> dict[str, str]:
        """Its record, of the paper's or of our own, and `holds`: the verdict as a verb.

        Raises:
            UserError: there is none of that name.
        """
        known = self.claims | self._judged("findings")
        if name not in known:
            raise UserError(f"There is no claim {name}; choose from {', '.join(known)}.")
        found = known[name]
        return found | {"holds": HOLDS[found["verdict"]]}

    @cached_property
    def verdicts(self) -> dict[str, int]:
        """How many claims have each verdict, of all four."""
        counts = Counter(claim["verdict"] for claim in self.claims.values())
        return {verdict: counts[verdict] for verdict in HOLDS}


@dataclass(frozen=True)
class Source:
    """Where the report's words and figures look things up."""

    context: Context
    lookup: Lookup
    figures: Path

    @classmethod
    def of(cls, repository: Path, home: Path, tables: Path) -> "Source":
        """Of the runs and studies in `home`, with the tables in that folder."""
        context = Context.of(repository, home / "runs", home / "studies")
        return cls(context, Lookup(tables), home / "figures")

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
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        comments = [line.removeprefix("# ") for line in lines if re.match("# [^@]", line)]
        return re.split(r"(?<!Fig)[.;] |\.$", comments[0])[0] if comments else experiment

    @cached_property
    def experiments(self) -> dict[str, Selection]:
        """What is compared of each experiment that has a run."""
        found = {name: select(self.context.runs, name) for name in self.labels}
        return {name: one for name, one in found.items() if one}

    def reads(self, method: str) -> str:
        """Which h, on how many validation images, a method's runs of each experiment read."""
        by_words: dict[str, list[str]] = {}
        for name, selection in self.experiments.items():
            runs = [run for run in selection.of(method) if run.gradient_images]
            pairs = {(run.stored.value("method.stride", 0), run.gradient_images) for run in runs}
            which = {0: "the last", 1: "every"}
            words = " or ".join(
                f"{which.get(stride, f'every {stride}th')} h on {images:,} images"
                for stride, images in sorted(pairs)
            )
            by_words.setdefault(words, []).append(name)
        return "; ".join(f"{words} ({', '.join(of)})" for words, of in by_words.items() if words)

    @cached_property
    def compared(self) -> dict[str, Selection]:
        """Those whose runs differ in method and seed alone, so that a chart can show them all."""
        files = {n: self.context.configs / f"experiment/{n}.yaml" for n in self.experiments}
        varied = {n: swept(file).keys() - VARIED for n, file in files.items() if file.exists()}
        return {name: one for name, one in self.experiments.items() if not varied.get(name)}
