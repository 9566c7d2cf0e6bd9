"""Table 2: test accuracy on long-tailed data, by way of weighing the examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns, Sheet
from glocal_exp.report.formats import ABSENT, DAGGER, count, spread
from glocal_exp.report.labelled import Labelled, alike, labelled
from glocal_exp.report.selection import Selection
from glocal_exp.stats import summarize

FACTOR = "dataset.imbalance.factor"
Cell = tuple[str, str, int]
"""Row, data set, imbalance factor."""
PUBLISHED = "{published}"
READING = (
    "Test accuracy in percent after the last training step, on balanced test images: mean and "
    "standard deviation over the seeds, their number in brackets. Columns are imbalance factors, "
    "how many times more training images the first class has than the last. The numbers of the "
    "paper's own table did not survive in its text that is at hand; it states that glocal "
    "surpasses local. Rows marked * are published numbers of {published}; a cell marked "
    f"{DAGGER} has a seed that diverged, with the accuracy of the weights it ended with."
)


@dataclass(frozen=True)
class Reweighting:
    """One row a way of weighing, one column a data set and imbalance factor.

    Attributes:
        title: the caption's first sentence.
        data: data set -> its label.
        factors: imbalance factors.
        kinds: entries of `report.labelled.Labelled`; `{data}` in an experiment is the data set.
        published: row -> data set -> factor -> percent, of other networks.
        published_of: what network and data those are of.
        note: what else a reader of the rows should know.
    """

    title: str
    data: Mapping[str, str]
    factors: Sequence[int]
    kinds: Sequence[Mapping[str, Any]]
    published: Mapping[str, Mapping[str, Mapping[int, float]]] = field(default_factory=dict)
    published_of: str = "another network"
    note: str = ""

    @property
    def experiments(self) -> list[str]:
        """Those that have its runs."""
        names = (row.experiment for name in self.data for row in self._rows(name))
        return list(dict.fromkeys(names))

    def make(self, context: Context) -> Sheet:
        columns = [(name, factor) for name in self.data for factor in self.factors]
        labels = list(dict.fromkeys(e.label for name in self.data for e in self._rows(name)))
        found = self._found(context)
        if not found:
            raise MissingRuns(self.experiments)
        named = {name: self._named(name, found) for name in self.data}
        records = [
            {"weighing": label, "data": named[name], "factor": factor}
            | _numbers(found.get((label, name, factor)))
            for label in labels
            for name, factor in columns
        ]
        rows = [
            [label, *(_cell(found.get((label, *column))) for column in columns)] for label in labels
        ]
        for label, numbers in self.published.items():
            rows.append([f"{label}*", *(_printed(numbers, *column) for column in columns)])
            records += [
                {"weighing": f"{label}*", "data": self.data[name], "factor": factor, "mean": value}
                for name, by_factor in numbers.items()
                for factor, value in by_factor.items()
            ]
        header = ["weighing", *(f"{named[name]}, {factor}" for name, factor in columns)]
        missing = {
            entry.experiment
            for name, factor in columns
            for entry in self._rows(name)
            if (entry.label, name, factor) not in found
        }
        reading = f"{READING.replace(PUBLISHED, self.published_of)} {self.note}".strip()
        text = caption.join(self.title, reading, self._together(found, named), context)
        gone = tuple(name for name in self.experiments if name in missing)
        return Sheet(header, rows, pd.DataFrame(records), text, gone, words=1)

    def _found(self, context: Context) -> dict[Cell, Selection]:
        """What has finished; on each data set runs of one length and network."""
        found = {}
        for name in self.data:
            wanted = {
                (entry.label, name, factor): (entry, {FACTOR: factor})
                for entry in self._rows(name)
                for factor in self.factors
            }
            found |= alike(context, wanted)
        return found

    def _named(self, data: str, found: Mapping[Cell, Selection]) -> str:
        runs = (run for cell, one in found.items() if cell[1] == data for run in one.runs)
        return caption.marked(self.data[data], runs)

    def _together(
        self, found: Mapping[Cell, Selection], named: Mapping[str, str]
    ) -> dict[str, Selection]:
        """By row and data set, the runs of all factors."""
        groups: dict[tuple[str, str], list[Selection]] = {}
        for (label, name, _), selection in found.items():
            groups.setdefault((label, name), []).append(selection)
        return {
            f"{label}, {named[name]}": replace(
                parts[0],
                runs=tuple(run for part in parts for run in part.runs),
                notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            )
            for (label, name), parts in groups.items()
        }

    def _rows(self, data: str) -> list[Labelled]:
        entries = [
            {**row, "experiment": str(row["experiment"]).format(data=data)} for row in self.kinds
        ]
        return labelled(entries)


def _numbers(selection: Selection | None) -> dict[str, float]:
    values = selection.finals() if selection else {}
    if not values:
        return {"seeds": 0}
    summary = summarize(list(values.values()))
    by_seed = {f"seed_{seed}": value for seed, value in values.items()}
    spread = {"mean": float(summary.mean), "deviation": float(summary.deviation)}
    return {"seeds": len(values)} | spread | by_seed


def _cell(selection: Selection | None) -> str:
    values = selection.finals() if selection else {}
    if not values:
        return ABSENT
    summary = summarize(list(values.values()))
    mark = DAGGER if selection and any(run.diverged for run in selection.runs) else ""
    return f"{spread(float(summary.mean), float(summary.deviation), 2)}{mark} [{len(values)}]"


def _printed(numbers: Mapping[str, Mapping[int, float]], data: str, factor: int) -> str:
    return count(numbers.get(data, {}).get(factor), 2)
