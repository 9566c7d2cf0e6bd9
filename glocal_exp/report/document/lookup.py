"""What a sentence looks up: cells of stored tables, and the verdicts on claims."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report import formats
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, NOT_RUN, UNDECIDED
from glocal_exp.report.study_rows import chosen
from glocal_exp.report.tables.grouped import ABSENT

HOLDS = {
    AGREES: "holds",
    DISAGREES: "does not hold",
    UNDECIDED: "is not decided",
    NOT_RUN: "has not been run",
}
"""A verdict as a verb."""


@dataclass(frozen=True)
class Lookup:
    """The tables in a folder, as `make tables` wrote them.

    Attributes:
        folder: of the CSV and Markdown files.
    """

    folder: Path

    def frame(self, table: str) -> pd.DataFrame:
        """A table's records.

        Raises:
            UserError: it is not there.
        """
        file = self.folder / f"{table}.csv"
        if not file.exists():
            raise UserError(f"{file} is not there; make it: python scripts/make_tables.py {table}")
        return pd.read_csv(file)

    def text(self, table: str) -> tuple[str, str]:
        """Its Markdown: the table, and the caption below."""
        self.frame(table)
        found, _, caption = (self.folder / f"{table}.md").read_text().partition("\n\n")
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
