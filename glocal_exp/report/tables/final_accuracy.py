"""Final test accuracy by experiment and method, every seed, and differences paired by seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Artifact, Context, MissingRuns
from glocal_exp.report.formats import DAGGER, method_label, signed, spread
from glocal_exp.report.selection import Selection, select_all
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.stats import paired_difference

READING = (
    "Test accuracy in percent after the last training step: mean and standard deviation over "
    "seeds, then every seed in order; never the best over time. {dagger}: the seed diverged, and "
    "its accuracy is that of the weights it ended with. The last column is the difference "
    "{subject} minus the row's method in percentage points, paired by seed, with a 95 % t "
    "interval over the seeds that both have. Unfinished runs are left out."
)

TWO_DIGITS = partial(spread, digits=2)
DIFFERENCE = ("difference", "difference_low", "difference_high", "difference_seeds")


@dataclass(frozen=True)
class FinalAccuracy(Artifact):
    """One row a method of each experiment.

    Attributes:
        experiments: experiment -> its label.
        subject: the method that the others are compared with.
        methods: those that the comparison needs.
    """

    experiments: Mapping[str, str]
    subject: str = "glocal"
    methods: Sequence[str] = ("none", "local", "glocal")
    reading: str = field(default=READING, kw_only=True)

    def make(self, context: Context) -> Sheet:
        found, missing = select_all(context, self.experiments, self.methods)
        records = [record for one in found.values() for record in self._records(one)]
        if not records:
            raise MissingRuns(list(self.experiments))
        labels = {
            name: caption.marked(self.experiments[name], one.runs) for name, one in found.items()
        }
        columns = [
            Column("experiment", "experiment", labels.__getitem__, words=True, once=True),
            Column("T", "steps", "{:,}", words=True, once=True),
            Column("method", "method", method_label, words=True),
            Column("mean \N{PLUS-MINUS SIGN} sd (%)", ("mean", "deviation"), TWO_DIGITS),
            Column("seeds (%)", ("experiment", "method"), lambda e, m: _seeds(found[e], m)),
            Column(f"{self.subject} minus it (points)", DIFFERENCE, _difference),
        ]
        sources = caption.paragraphs(found.values(), context)
        text = self.caption(*sources, dagger=DAGGER)
        return Sheet(pd.DataFrame(records), columns, text, missing)

    def _records(self, selection: Selection) -> Iterator[dict[str, Any]]:
        for method in selection.methods:
            finals = selection.finals(method)
            if not finals:
                continue
            record = {"experiment": selection.experiment, "steps": selection.steps}
            record |= {"method": method} | selection.final_numbers(method)
            pair = paired_difference(selection.finals(self.subject), finals)
            if method != self.subject and pair.summary:
                values = (pair.summary.mean, pair.summary.low, pair.summary.high, len(pair.keys))
                record |= dict(zip(DIFFERENCE, map(float, values), strict=True))
            yield record


def _seeds(selection: Selection, method: str) -> str:
    values, lost = selection.finals(method), selection.lost(method)
    return ", ".join(f"{v:.2f}{DAGGER if seed in lost else ''}" for seed, v in values.items())


def _difference(mean: float, low: float, high: float, seeds: float) -> str:
    return signed(mean) + (f" [{signed(low)}, {signed(high)}]" if seeds > 1 else "")
