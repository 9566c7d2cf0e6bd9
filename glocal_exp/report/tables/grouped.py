"""A table: rows that a function finds, in groups, with numbers of each group, printed by column.

What is printed is read off the records that the CSV file has.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.objects import named

FORMS = "glocal_exp.report.formats"
ABSENT = "\N{EN DASH}"
Record = Mapping[str, Any]
Labels = Mapping[str, Mapping[Any, Any]]


@dataclass(frozen=True)
class Column:
    """One column in print. A cell whose first entry is missing or not finite is a dash."""

    header: str  # as printed; text between dollar signs is TeX, here and in cells
    entries: str | Sequence[str]  # of the record, that a cell is made from: a name, or several
    # a cell from these, a template of `str.format` or a function
    form: str | Callable[..., str] = "{}"
    # what the record must have, where several records make a row; means where they are many
    at: Record = field(default_factory=dict)
    words: bool = False  # no numbers, so that they begin on the left
    once: bool = False  # empty where it and all such columns before it are as in the row above

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
    """A table."""

    data: pd.DataFrame  # the records, in full precision; the CSV file
    # what is printed of them. Where a column is of some records alone, those with the same words
    # make a row; else each record does
    columns: Sequence[Column]
    caption: str
    missing: tuple[str, ...] = ()  # experiments that lack runs it asks for
    # entry -> value -> as printed; others are printed as they are
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


@dataclass(frozen=True)
class Found:
    """Rows to make a table of."""

    rows: pd.DataFrame
    sources: Sequence[str]  # where they are from, a paragraph of the caption each
    # what fills in braces, besides the table's settings
    words: Mapping[str, Any] = field(default_factory=dict)
    # column of the rows -> value -> as printed, in the order in which it is printed
    labels: Labels = field(default_factory=dict)
    names: Sequence[str] = ()  # the hyperparameters, for what there is one of each
    missing: tuple[str, ...] = ()  # experiments that lack runs it asks for


@dataclass(frozen=True)
class Grouped(Artifact):
    """A table from rows, all else being entries of the YAML file."""

    rows: str  # dotted path of a function of the context and the settings that returns `Found`
    # entries of `Column`; a form without braces is a function of `report.formats` or a dotted path.
    # With `across`, names of entries, there is a column for each of their values. Braces in a
    # heading are filled in; {name} in entries stands for every hyperparameter
    columns: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)  # for the function
    # columns of the rows that tell groups apart; each row is a record if there are none
    by: Sequence[str] = ()
    # of a group: entry -> aggregate of pandas, or [column, aggregate]; * for every other column
    numbers: Mapping[str, str | Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A mistake in the file is found before anything is read."""
        inspect.signature(named(self.rows)).bind(None, **self.settings)
        list(self._columns(pd.DataFrame(), Found(pd.DataFrame(), ())))

    def make(self, context: Context) -> Sheet:
        found: Found = named(self.rows)(context, **self.settings)
        data = self._numbers(found) if self.numbers else found.rows
        columns = list(self._columns(data, found))
        values = dict(self.settings) | dict(found.words)
        text = self.caption(*found.sources, **values)
        return Sheet(data, columns, text, found.missing, found.labels)

    def _numbers(self, found: Found) -> pd.DataFrame:
        how: dict[str, Any] = {}
        for entry, aggregate in self.numbers.items():
            others = [name for name in found.rows if name not in (*self.by, *how)]
            for name in found.names if "{name}" in entry else others if entry == "*" else [""]:
                one = name if entry == "*" else entry.format(name=name)
                how[one] = (one, aggregate) if isinstance(aggregate, str) else tuple(aggregate)
        groups = found.rows.groupby(list(self.by), sort=False, dropna=False)
        data = groups.agg(**how).reset_index()
        for entry in [entry for entry, (_, aggregate) in how.items() if aggregate == "sum"]:
            data[entry] = pd.to_numeric(data[entry], downcast="integer")  # counts, where whole
        return data

    def _columns(self, data: pd.DataFrame, found: Found) -> Iterator[Column]:
        settings = dict(self.settings) | dict(found.words)
        for across, group in groupby(self.columns, lambda entry: list(entry.get("across", ()))):
            columns = [one for entry in group for one in _column(entry, found.names)]
            for at in _values(data, across, found.labels) if across else [{}]:
                shown = {name: found.labels.get(name, {}).get(v, v) for name, v in at.items()}
                for one in columns:
                    yield replace(one, header=one.header.format(**settings | shown), at=at)


def _column(entry: Mapping[str, Any], names: Iterable[str]) -> list[Column]:
    """The column of an entry, or that of each hyperparameter."""
    form = str(entry.get("form", "{}"))
    own: dict[str, Any] = {key: value for key, value in entry.items() if key != "across"}
    own["form"] = form if "{" in form else named(form if "." in form else f"{FORMS}.{form}")
    one = Column(**own)
    if not any("{name}" in entry for entry in one.names):
        return [one]
    return [
        replace(one, entries=[entry.format(name=name) for entry in one.names],
                header=one.header.format(name=name.replace("_", " ")))
        for name in names
    ]  # fmt: skip


def _values(data: pd.DataFrame, across: Sequence[str], labels: Labels) -> list[dict[str, Any]]:
    """Each combination that there is, in the order of the labels or else of the values."""
    order = {name: list(labels[name]).index if name in labels else lambda v: v for name in across}
    records: Any = data.reindex(columns=list(across)).drop_duplicates().to_dict("records")
    return sorted(records, key=lambda at: [order[name](value) for name, value in at.items()])
