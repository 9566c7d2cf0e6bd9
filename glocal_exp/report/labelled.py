"""Runs of several experiments under labels of their own: the rows of a comparison across tasks."""

import json
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.selection import Selection, select

Cell = TypeVar("Cell", bound=Hashable)


@dataclass(frozen=True)
class Labelled:
    """One kind of run; an entry of a YAML file.

    Attributes:
        label: as printed.
        where: further conditions, as in `store.find_runs`.
    """

    label: str
    experiment: str
    method: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def select(self, context: Context, **where: Any) -> Selection | None:
        """Its finished runs; None if there are none."""
        conditions = {"method": self.method, **self.where, **where}
        found = select(context.runs, self.experiment, (), conditions, ends=True)
        return found if found and found.finals() else None


def labelled(entry: Mapping[str, Any], where: Mapping[str, Any], **words: str) -> Labelled:
    """From an entry of a YAML file, with further conditions and its experiment's braces filled in.

    Raises:
        UserError: it has a setting that there is not.
    """
    try:
        one = Labelled(**entry)
    except TypeError as error:
        raise UserError(f"A row cannot be made: {error}; correct its entry.") from error
    return replace(one, experiment=one.experiment.format(**words), where={**one.where, **where})


def stored(
    context: Context, kinds: Sequence[Mapping[str, Any]], where: Mapping[str, Any]
) -> tuple[dict[str, Selection], tuple[str, ...]]:
    """By label what has finished of `kinds`, and the experiments of which something is missing.

    Raises:
        MissingRuns: nothing has.
    """
    wanted = {one.label: one for one in (labelled(kind, where) for kind in kinds)}
    found = alike(context, wanted)
    return found, missing(wanted, found)


def missing(wanted: Mapping[Cell, Labelled], found: Collection[Cell]) -> tuple[str, ...]:
    """The experiments of cells that were not found; `MissingRuns` if none was."""
    lacking = dict.fromkeys(one.experiment for cell, one in wanted.items() if cell not in found)
    if not found:
        raise MissingRuns(*lacking)
    return tuple(lacking)


def alike(context: Context, wanted: Mapping[Cell, Labelled]) -> dict[Cell, Selection]:
    """What is to be compared: runs as long as the longest that has finished, all of one network.

    Of several networks the one with most cells is taken. Cells whose runs are all others are left
    out.
    """
    found = [entry.select(context) for entry in wanted.values()]
    steps = max((selection.steps for selection in found if selection), default=0)
    longest = {
        cell: selection
        for cell, entry in wanted.items()
        if (selection := entry.select(context, steps=steps))
    }
    networks = {
        cell: json.dumps(selection.runs[0].stored.value("model"), sort_keys=True)
        for cell, selection in longest.items()
    }
    taken = Counter(networks.values()).most_common(1)
    return {cell: one for cell, one in longest.items() if networks[cell] == taken[0][0]}
