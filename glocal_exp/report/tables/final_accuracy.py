"""Final test accuracy by experiment and method, every seed, and differences paired by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns, Sheet
from glocal_exp.report.formats import ABSENT, DAGGER, count, method_label, signed, spread
from glocal_exp.report.selection import Selection, select
from glocal_exp.stats import PairedDifference, paired_difference, summarize

READING = (
    "Test accuracy in percent after the last training step: mean and standard deviation over "
    "seeds, then every seed in order; never the best over time. {dagger}: the seed diverged, and "
    "its accuracy is that of the weights it ended with. The last column is the difference "
    "{subject} minus the row's method in percentage points, paired by seed, with a 95 % t "
    "interval over the seeds that both have. Unfinished runs are left out."
)


@dataclass(frozen=True)
class FinalAccuracy:
    """One row a method of each experiment.

    Attributes:
        title: the caption's first sentence.
        experiments: experiment -> its label.
        subject: the method that the others are compared with.
        methods: those that the comparison needs.
    """

    title: str
    experiments: Mapping[str, str]
    subject: str = "glocal"
    methods: Sequence[str] = ("none", "local", "glocal")

    def make(self, context: Context) -> Sheet:
        found = {name: select(context.runs, name, self.methods) for name in self.experiments}
        selections = [one for one in found.values() if one is not None]
        records: list[dict[str, object]] = []
        rows: list[list[str]] = []
        for selection in selections:
            for method in selection.methods:
                if selection.finals(method):
                    record, row = self._row(selection, method)
                    repeated = bool(records) and records[-1]["experiment"] == selection.experiment
                    rows.append(["", "", *row[2:]] if repeated else row)
                    records.append(record)
        if not rows:
            raise MissingRuns(list(self.experiments))
        header = ["experiment", "T", "method", "mean \N{PLUS-MINUS SIGN} sd (%)", "seeds (%)"]
        header.append(f"{self.subject} minus it (points)")
        reading = READING.format(dagger=DAGGER, subject=self.subject)
        missing = [name for name, one in found.items() if one is None or one.incomplete]
        text = caption.join(self.title, reading, selections, context)
        return Sheet(header, rows, pd.DataFrame(records), text, tuple(missing), words=3)

    def _row(self, selection: Selection, method: str) -> tuple[dict[str, object], list[str]]:
        finals, diverged = selection.finals(method), _diverged(selection, method)
        summary = summarize(list(finals.values()))
        pair = (
            paired_difference(selection.finals(self.subject), finals)
            if method != self.subject
            else None
        )
        record = {
            "experiment": selection.experiment,
            "steps": selection.steps,
            "method": method,
            "seeds": len(finals),
            "diverged": len(diverged),
            "mean": float(summary.mean),
            "deviation": float(summary.deviation),
            "standard_error": float(summary.standard_error),
            "minimum": float(summary.minimum),
            "maximum": float(summary.maximum),
        }
        record |= {f"seed_{seed}": value for seed, value in finals.items()}
        if pair is not None and pair.summary is not None:
            record |= {
                "difference": float(pair.summary.mean),
                "difference_low": float(pair.summary.low),
                "difference_high": float(pair.summary.high),
                "difference_seeds": len(pair.keys),
            }
        cells = [
            caption.marked(self.experiments[selection.experiment], selection.runs),
            f"{selection.steps:,}",
            method_label(method),
            spread(float(summary.mean), float(summary.deviation), digits=2),
            ", ".join(
                count(value, 2) + (DAGGER if seed in diverged else "")
                for seed, value in finals.items()
            ),
            _difference(pair),
        ]
        return record, cells


def _diverged(selection: Selection, method: str) -> set[int]:
    return {run.seed for run in selection.of(method) if run.finished and run.diverged}


def _difference(pair: PairedDifference | None) -> str:
    if pair is None or pair.summary is None:
        return ABSENT
    mean, low, high = (float(getattr(pair.summary, key)) for key in ("mean", "low", "high"))
    if len(pair.keys) == 1:
        return signed(mean)
    return f"{signed(mean)} [{signed(low)}, {signed(high)}]"
