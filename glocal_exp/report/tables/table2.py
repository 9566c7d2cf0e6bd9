"""Table 2: test accuracy on long-tailed data, by way of weighing the examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns, Sheet
from glocal_exp.report.formats import ABSENT, count, spread
from glocal_exp.report.labelled import Labelled, finals, labelled
from glocal_exp.report.selection import Selection
from glocal_exp.stats import summarize

FACTOR = "dataset.imbalance.factor"
READING = (
    "Test accuracy in percent after the last training step, on balanced test images: mean and "
    "standard deviation over the seeds, their number in brackets. Columns are imbalance factors, "
    "how many times more training images the first class has than the last. The numbers of the "
    "paper's own table did not survive in its text that is at hand; it states that glocal "
    "surpasses local. Rows marked * are published numbers of another network."
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
    """

    title: str
    data: Mapping[str, str]
    factors: Sequence[int]
    kinds: Sequence[Mapping[str, Any]]
    published: Mapping[str, Mapping[str, Mapping[int, float]]] = field(default_factory=dict)

    @property
    def experiments(self) -> list[str]:
        """Those that have its runs."""
        names = (row.experiment for name in self.data for row in self._rows(name))
        return list(dict.fromkeys(names))

    def make(self, context: Context) -> Sheet:
        columns = [(name, factor) for name in self.data for factor in self.factors]
        found: dict[tuple[str, str, int], Selection | None] = {}
        for name, factor in columns:
            for entry in self._rows(name):
                found[entry.label, name, factor] = entry.select(context, **{FACTOR: factor})
        stored = [selection for selection in found.values() if selection is not None]
        if not any(finals(selection) for selection in stored):
            raise MissingRuns(self.experiments)
        labels = list(dict.fromkeys(label for label, _, _ in found))
        records = [
            {"weighing": label, "data": name, "factor": factor}
            | _numbers(found[label, name, factor])
            for label in labels
            for name, factor in columns
        ]
        rows = [
            [label, *(_cell(found[label, name, factor]) for name, factor in columns)]
            for label in labels
        ]
        rows += [
            [f"{label}*", *(_printed(numbers, *column) for column in columns)]
            for label, numbers in self.published.items()
        ]
        header = ["weighing"]
        for name, factor in columns:
            runs = [run for label in labels if (s := found[label, name, factor]) for run in s.runs]
            header.append(f"{caption.marked(self.data[name], runs)}, {factor}")
        text = caption.join(self.title, READING, stored, context, ignore=("seeds",))
        complete = {s.experiment for s in stored}
        missing = tuple(name for name in self.experiments if name not in complete)
        return Sheet(header, rows, pd.DataFrame(records), text, missing, words=1)

    def _rows(self, data: str) -> list[Labelled]:
        entries = [
            {**row, "experiment": str(row["experiment"]).format(data=data)} for row in self.kinds
        ]
        return labelled(entries)


def _numbers(selection: Selection | None) -> dict[str, float]:
    values = finals(selection)
    if not values:
        return {"seeds": 0}
    summary = summarize(list(values.values()))
    by_seed = {f"seed_{seed}": value for seed, value in values.items()}
    spread = {"mean": float(summary.mean), "deviation": float(summary.deviation)}
    return {"seeds": len(values)} | spread | by_seed


def _cell(selection: Selection | None) -> str:
    values = finals(selection)
    if not values:
        return ABSENT
    summary = summarize(list(values.values()))
    return f"{spread(float(summary.mean), float(summary.deviation), 2)} [{len(values)}]"


def _printed(numbers: Mapping[str, Mapping[int, float]], data: str, factor: int) -> str:
    return count(numbers.get(data, {}).get(factor), 2)
