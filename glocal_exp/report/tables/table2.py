"""Table 2: test accuracy on long-tailed data, by way of weighing the examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Artifact, Context, MissingRuns
from glocal_exp.report.formats import DAGGER, spread
from glocal_exp.report.labelled import Labelled, alike, labelled
from glocal_exp.report.selection import Selection
from glocal_exp.report.sheet import Column, Sheet

FACTOR = "dataset.imbalance.factor"
NOTHING = {"seeds": 0}
SHOWN = ("mean", "deviation", "diverged", "seeds")
Cell = tuple[str, str, int]
"""Data set, row, imbalance factor."""


@dataclass(frozen=True)
class Reweighting(Artifact):
    """One row a way of weighing, one column a data set and imbalance factor.

    Attributes:
        data: data set -> its label.
        factors: imbalance factors.
        kinds: entries of `report.labelled.Labelled`; `{data}` in an experiment is the data set.
        published: row -> data set -> factor -> percent, of other networks.
    """

    data: Mapping[str, str]
    factors: Sequence[int]
    kinds: Sequence[Mapping[str, Any]]
    published: Mapping[str, Mapping[str, Mapping[int, float]]] = field(default_factory=dict)

    @property
    def experiments(self) -> list[str]:
        """Those that have its runs."""
        return list(dict.fromkeys(entry.experiment for entry, _ in self._wanted().values()))

    def make(self, context: Context) -> Sheet:
        wanted, found = self._wanted(), {}
        for name in self.data:  # on each data set runs of one length and network
            found |= alike(context, {cell: one for cell, one in wanted.items() if cell[0] == name})
        if not found:
            raise MissingRuns(self.experiments)
        named = {
            name: caption.marked(
                label, (run for cell, one in found.items() if cell[0] == name for run in one.runs)
            )
            for name, label in self.data.items()
        }
        columns = [
            Column("weighing", "weighing", words=True),
            *(
                Column(f"{named[name]}, {factor}", SHOWN, _cell,
                       {"dataset": name, "factor": factor})
                for name in self.data for factor in self.factors
            ),
        ]  # fmt: skip
        records = [
            {"weighing": label, "dataset": name, "data": named[name], "factor": factor}
            | (found[cell].final_numbers() if (cell := (name, label, factor)) in found else NOTHING)
            for label in dict.fromkeys(label for _, label, _ in wanted)
            for name in self.data
            for factor in self.factors
        ]
        records += [
            {"weighing": f"{label}*", "dataset": name, "data": self.data[name]}
            | {"factor": factor, "mean": percent}
            for label, numbers in self.published.items()
            for name, by_factor in numbers.items()
            for factor, percent in by_factor.items()
        ]
        missing = (entry.experiment for cell, (entry, _) in wanted.items() if cell not in found)
        text = self.caption(*caption.paragraphs(_together(found, named), context), dagger=DAGGER)
        data = pd.DataFrame(records)
        return Sheet(data, columns, text, tuple(dict.fromkeys(missing)), by=("weighing",))

    def _wanted(self) -> dict[Cell, tuple[Labelled, dict[str, Any]]]:
        """By cell its kind of run, and further conditions."""
        return {
            (name, entry.label, factor): (
                replace(entry, experiment=entry.experiment.format(data=name)), {FACTOR: factor}
            )
            for name in self.data
            for entry in labelled(self.kinds)
            for factor in self.factors
        }  # fmt: skip


def _together(found: Mapping[Cell, Selection], named: Mapping[str, str]) -> dict[str, Selection]:
    """By row and data set, the runs of all factors."""
    groups: dict[str, list[Selection]] = {}
    for (name, label, _), selection in found.items():
        groups.setdefault(f"{label}, {named[name]}", []).append(selection)
    return {
        label: replace(
            parts[0],
            runs=tuple(run for part in parts for run in part.runs),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        )
        for label, parts in groups.items()
    }


def _cell(mean: float, deviation: float, diverged: float, seeds: float) -> str:
    """Published numbers have no seeds."""
    text = spread(mean, deviation, 2)
    return f"{text}{DAGGER if diverged > 0 else ''} [{seeds:.0f}]" if seeds > 0 else text
