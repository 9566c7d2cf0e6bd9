"""A table as records and columns: what is printed is read off the records that the CSV file has."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

ABSENT = "\N{EN DASH}"
Record = Mapping[str, Any]
Labels = Mapping[str, Mapping[Any, Any]]


@dataclass(frozen=True)
class Column:
    """One column in print. A cell whose first entry is missing or not finite is a dash.

    Attributes:
        header: as printed; text between dollar signs is TeX, here and in cells.
        entries: of the record, that a cell is made from: a name, or several.
        form: a cell from these, a template of `str.format` or a function.
        at: what the record must have, where several records make a row; means where they are many.
        words: no numbers, so that they begin on the left.
        once: empty where it and all such columns before it are as in the row above.
    """

    header: str
    entries: str | Sequence[str]
    form: str | Callable[..., str] = "{}"
    at: Record = field(default_factory=dict)
    words: bool = False
    once: bool = False

    @property
    def names(self) -> Sequence[str]:
        """The entries, if only one."""
        return (self.entries,) if isinstance(self.entries, str) else self.entries

    def cell(self, row: Sequence[Record], labels: Labels) -> str:
        """The text for the records of a row."""
        found = [record for record in row if self.at.items() <= record.items()]
        values = [_together([record.get(name) for record in found]) for name in self.names]
        first = values[0]
        if first is None or (isinstance(first, float) and not math.isfinite(first)):
            return ABSENT
        shown = [labels.get(name, {}).get(v, v) for name, v in zip(self.names, values, strict=True)]
        return self.form.format(*shown) if isinstance(self.form, str) else self.form(*shown)


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        data: the records, in full precision; the CSV file.
        columns: what is printed of them. Where a column is of some records alone, those with the
            same words make a row; else each record does.
        caption: below the table.
        missing: experiments that lack runs it asks for.
        labels: entry -> value -> as printed; others are printed as they are.
    """

    data: pd.DataFrame
    columns: Sequence[Column]
    caption: str
    missing: tuple[str, ...] = ()
    labels: Labels = field(default_factory=dict)

    @property
    def header(self) -> list[str]:
        """The printed headings."""
        return [column.header for column in self.columns]

    @cached_property
    def rows(self) -> list[list[str]]:
        """The printed cells."""
        several = any(column.at for column in self.columns)
        by = [name for column in self.columns if several and column.words for name in column.names]
        groups: dict[Any, list[Record]] = {}
        for number, record in enumerate(self.data.to_dict("records")):
            groups.setdefault(tuple(record[name] for name in by) or number, []).append(record)
        cells = [[one.cell(row, self.labels) for one in self.columns] for row in groups.values()]
        once = [place for place, column in enumerate(self.columns) if column.once]
        for above, row in reversed(list(pairwise(cells))):  # from below: what is above still stands
            for place in once:
                if row[place] != above[place]:
                    break
                row[place] = ""
        return cells


def _together(values: Sequence[Any]) -> Any:
    first = values[0] if values else None
    alone = len(values) < 2 or first is None or isinstance(first, str)
    return first if alone else float(np.mean(values))
