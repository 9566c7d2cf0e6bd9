"""A table: rows that a function finds, in groups, with numbers of each group, printed by column."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import pandas as pd

from glocal_exp.report import formats
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.objects import named
from glocal_exp.report.sheet import Column, Labels, Sheet


@dataclass(frozen=True)
class Found:
    """Rows to make a table of.

    Attributes:
        sources: where they are from, a paragraph of the caption each.
        words: what fills in braces, besides the table's settings.
        labels: column of the rows -> value -> as printed, in the order in which it is printed.
        names: the hyperparameters, for what there is one of each.
        missing: experiments that lack runs it asks for.
    """

    rows: pd.DataFrame
    sources: Sequence[str]
    words: Mapping[str, Any] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)
    names: Sequence[str] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grouped(Artifact):
    """A table from rows, all else being entries of the YAML file.

    Attributes:
        rows: dotted path of a function of the context and the settings that returns `Found`.
        columns: entries of `Column`; a form without braces is a function of `report.formats` or a
            dotted path. With `across`, names of entries, there is a column for each of their
            values. Braces in a heading are filled in; {name} in entries stands for every
            hyperparameter.
        settings: for the function.
        by: columns of the rows that tell groups apart; each row is a record if there are none.
        numbers: of a group: entry -> aggregate of pandas, or [column, aggregate]; * for every
            other column.
    """

    rows: str
    columns: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    by: Sequence[str] = ()
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
        return groups.agg(**how).reset_index()

    def _columns(self, data: pd.DataFrame, found: Found) -> Iterator[Column]:
        settings = dict(self.settings) | dict(found.words)
        for across, group in groupby(self.columns, lambda entry: list(entry.get("across", ()))):
            columns = [_column(entry, found.names) for entry in group]
            for at in _values(data, across, found.labels) if across else [{}]:
                shown = {name: found.labels.get(name, {}).get(v, v) for name, v in at.items()}
                for one in (one for several in columns for one in several):
                    yield replace(one, header=one.header.format(**settings | shown), at=at)


def _column(entry: Mapping[str, Any], names: Iterable[str]) -> list[Column]:
    """The column of an entry, or that of each hyperparameter."""
    form = str(entry.get("form", "{}"))
    own: dict[str, Any] = {key: value for key, value in entry.items() if key != "across"}
    own["form"] = form if "{" in form else formats.function(form)
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
