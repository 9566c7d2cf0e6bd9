"""Runs of several experiments under labels of their own: the rows of a comparison across tasks."""

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.selection import Selection, select


@dataclass(frozen=True)
class Labelled:
    """One kind of run; an entry of a YAML file.

    Attributes:
        label: as printed.
        experiment: where its runs are stored.
        method: the method's name.
        where: further conditions, as in `store.find_runs`.
    """

    label: str
    experiment: str
    method: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def select(self, context: Context, **where: Any) -> Selection | None:
        """Its finished runs; None if there are none."""
        conditions = {"method": self.method} | dict(self.where) | where
        return select(context.runs, self.experiment, (), conditions, ends=True)


@dataclass(frozen=True)
class Kinds:
    """What a figure of several kinds of runs is made from.

    Attributes:
        title: the caption's first sentence.
        kinds: entries of `Labelled`.
        where: further conditions on all of them.
    """

    title: str
    kinds: Sequence[Mapping[str, Any]]
    where: Mapping[str, Any] = field(default_factory=dict)

    @property
    def experiments(self) -> list[str]:
        """Those that have its runs."""
        return list(dict.fromkeys(entry.experiment for entry in labelled(self.kinds)))

    def stored(self, context: Context) -> tuple[dict[str, Selection], tuple[str, ...]]:
        """By label what has finished, and the experiments of which something is missing.

        Raises:
            MissingRuns: nothing has.
        """
        entries = {entry.label: entry for entry in labelled(self.kinds)}
        stored = alike(context, {label: (e, self.where) for label, e in entries.items()})
        if not stored:
            raise MissingRuns(self.experiments)
        gone = {entry.experiment for label, entry in entries.items() if label not in stored}
        return stored, tuple(name for name in self.experiments if name in gone)


Cell = TypeVar("Cell", bound=Hashable)


def alike(
    context: Context, wanted: Mapping[Cell, tuple[Labelled, Mapping[str, Any]]]
) -> dict[Cell, Selection]:
    """What is to be compared: runs as long as the longest that has finished, all of one network.

    Of several networks the one with most cells is taken. Cells whose runs are all others are left
    out.

    Args:
        wanted: by cell its kind of run, and further conditions.
    """
    found = [entry.select(context, **where) for entry, where in wanted.values()]
    steps = max((s.steps for s in found if s and s.finals()), default=0)
    same = {cell: e.select(context, **where, steps=steps) for cell, (e, where) in wanted.items()}
    networks = {
        cell: json.dumps(selection.runs[0].stored.value("model"), sort_keys=True)
        for cell, selection in same.items()
        if selection and selection.finals()
    }
    taken = Counter(networks.values()).most_common(1)
    return {
        cell: selection
        for cell, selection in same.items()
        if selection and taken and networks.get(cell) == taken[0][0]
    }


def labelled(entries: Sequence[Mapping[str, Any]]) -> list[Labelled]:
    """From entries of a YAML file.

    Raises:
        UserError: an entry has a setting that there is not.
    """
    try:
        return [Labelled(**entry) for entry in entries]
    except TypeError as error:
        raise UserError(f"A row cannot be made: {error}; correct its entry.") from error
