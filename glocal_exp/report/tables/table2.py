"""Table 2: test accuracy on long-tailed data, by way of weighing the examples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Artifact, Context, MissingRuns
from glocal_exp.report.formats import DAGGER, spread
from glocal_exp.report.labelled import Labelled, alike, labelled
from glocal_exp.report.selection import Selection
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.stats import summarize

FACTOR = "dataset.imbalance.factor"
SHOWN = ("mean", "deviation", "diverged", "seeds")
Cell = tuple[str, str, int]
"""Row, data set, imbalance factor."""


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
        wanted = sorted(self._wanted().items(), key=lambda item: list(self.data).index(item[0][1]))
        return list(dict.fromkeys(entry.experiment for _, (entry, _) in wanted))

    def make(self, context: Context) -> Sheet:
        wanted = self._wanted()
        found = {}
        for name in self.data:  # on each data set runs of one length and network
            found |= alike(context, {cell: one for cell, one in wanted.items() if cell[1] == name})
        if not found:
            raise MissingRuns(self.experiments)
        named = {name: self._named(name, found) for name in self.data}
        columns = [
            Column("weighing", "weighing", words=True),
            *(
                Column(f"{named[name]}, {factor}", SHOWN, _cell,
                       {"dataset": name, "factor": factor})
                for name in self.data for factor in self.factors
            ),
        ]  # fmt: skip
        lacking = {entry.experiment for cell, (entry, _) in wanted.items() if cell not in found}
        sources = caption.paragraphs(_together(found, named), context)
        return Sheet(
            pd.DataFrame(self._records(wanted, found, named)),
            columns,
            self.caption(*sources, dagger=DAGGER),
            tuple(name for name in self.experiments if name in lacking),
            by=("weighing",),
        )

    def _wanted(self) -> dict[Cell, tuple[Labelled, dict[str, Any]]]:
        """By cell its kind of run, and further conditions; row by row."""
        kinds = {
            (place, name): replace(entry, experiment=entry.experiment.format(data=name))
            for place, entry in enumerate(labelled(self.kinds))
            for name in self.data
        }
        return {
            (entry.label, name, factor): (entry, {FACTOR: factor})
            for (_, name), entry in kinds.items()
            for factor in self.factors
        }

    def _named(self, data: str, found: Mapping[Cell, Selection]) -> str:
        runs = (run for cell, one in found.items() if cell[1] == data for run in one.runs)
        return caption.marked(self.data[data], runs)

    def _records(
        self, wanted: Mapping[Cell, Any], found: Mapping[Cell, Selection], named: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        for label, name, factor in wanted:
            about = {"weighing": label, "dataset": name, "data": named[name], "factor": factor}
            yield about | _numbers(found.get((label, name, factor)))
        for label, numbers in self.published.items():
            for name, by_factor in numbers.items():
                for factor, percent in by_factor.items():
                    about = {"weighing": f"{label}*", "dataset": name, "data": self.data[name]}
                    yield about | {"factor": factor, "mean": percent}


def _together(found: Mapping[Cell, Selection], named: Mapping[str, str]) -> dict[str, Selection]:
    """By row and data set, the runs of all factors."""
    groups: dict[str, list[Selection]] = {}
    for (label, name, _), selection in found.items():
        groups.setdefault(f"{label}, {named[name]}", []).append(selection)
    return {
        label: replace(
            parts[0],
            runs=tuple(run for part in parts for run in part.runs),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        )
        for label, parts in groups.items()
    }


def _numbers(selection: Selection | None) -> dict[str, float]:
    values = selection.finals() if selection else {}
    if not selection or not values:
        return {"seeds": 0}
    summary = summarize(list(values.values()))
    return {
        "seeds": len(values),
        "diverged": sum(run.diverged for run in selection.runs),
        "mean": float(summary.mean),
        "deviation": float(summary.deviation),
    } | {f"seed_{seed}": value for seed, value in values.items()}


def _cell(mean: float, deviation: float, diverged: float, seeds: float) -> str:
    """Published numbers have no seeds."""
    text = spread(mean, deviation, 2)
    return f"{text}{DAGGER if diverged > 0 else ''} [{seeds:.0f}]" if seeds > 0 else text
