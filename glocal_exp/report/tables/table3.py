"""Table 3: run time by method, with the work that explains it, beside the paper's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns, Sheet
from glocal_exp.report.formats import count, method_label, spread
from glocal_exp.report.selection import Run, Selection, select
from glocal_exp.stats import summarize

HEADER = [
    "method",
    "time (s)",
    "per 1,000 steps (s)",
    "times none",
    "compilation (s)",
    "tangent steps",
    "validation gradients",
    "paper: time (s)",
    "paper: times none",
]
READING = (
    "Time is the wall time of training and hypergradients, mean and standard deviation over "
    "seeds; compilation is apart, evaluation is in neither. Counts are calls a seed. 'local' "
    "computes the one $h_t$ an interval that it needs, 'local, every $h_t$' all of them. The "
    "paper's times are for 10,000 steps on an NVIDIA RTX 6000 Ada; it does not say which of the "
    "two its local is."
)


@dataclass(frozen=True)
class RunTime:
    """One row a method.

    Attributes:
        title: the caption's first sentence.
        experiments: the first of them that has runs is read.
        methods: those that the comparison needs.
    """

    title: str
    experiments: Sequence[str]
    methods: Sequence[str] = ("none", "local", "local_every", "glocal", "global")

    def make(self, context: Context) -> Sheet:
        selection = next(
            (s for name in self.experiments if (s := select(context.runs, name, self.methods))),
            None,
        )
        if selection is None:
            raise MissingRuns(self.experiments[:1])
        data = pd.DataFrame(
            [
                row
                for method in selection.methods
                if (row := _measure(method, selection, context)) is not None
            ]
        )
        if data.empty:
            raise MissingRuns(self.experiments[:1])
        text = caption.join(self.title, READING, [selection], context)
        if selection.experiment != self.experiments[0]:
            text += (
                f"\nNo run of {self.experiments[0]} is stored: these are the times of "
                f"{selection.experiment}, whose runs may have shared the machine.\n"
            )
        complete = selection.experiment == self.experiments[0] and not selection.incomplete
        missing = () if complete else (self.experiments[0],)
        return Sheet(
            HEADER, [_row(record) for record in data.to_dict("records")], data, text, missing
        )


def _measure(method: str, selection: Selection, context: Context) -> dict[str, object] | None:
    """Full-precision numbers of one method; only finished runs have a time."""
    runs = [run for run in selection.of(method) if run.finished]
    if not runs:
        return None
    seconds = summarize([_total(run, "seconds") for run in runs])
    none = [_total(run, "seconds") for run in selection.of("none") if run.finished]
    printed = context.printed("table3", "run_time", method)
    printed_none = context.printed("table3", "run_time", "none")
    return {
        "method": method,
        "steps": selection.steps,
        "seeds": len(runs),
        "seconds_mean": float(seconds.mean),
        "seconds_deviation": float(seconds.deviation),
        "seconds_per_1000_steps": float(seconds.mean) / selection.steps * 1000,
        "times_none": float(seconds.mean) / (sum(none) / len(none)) if none and sum(none) else None,
        "compile_seconds_mean": float(
            summarize([_total(run, "compile_seconds") for run in runs]).mean
        ),
        "evaluation_seconds_mean": float(
            summarize([_total(run, "evaluation_seconds") for run in runs]).mean
        ),
        "tangent_steps": _last(runs, "tangent_steps"),
        "validation_gradients": _last(runs, "validation_gradients"),
        "paper_seconds": printed,
        "paper_times_none": printed / printed_none if printed and printed_none else None,
    }


def _row(record: dict) -> list[str]:
    return [
        method_label(record["method"]),
        spread(record["seconds_mean"], record["seconds_deviation"]),
        count(record["seconds_per_1000_steps"]),
        count(record["times_none"]),
        count(record["compile_seconds_mean"]),
        count(record["tangent_steps"], digits=0),
        count(record["validation_gradients"], digits=0),
        count(record["paper_seconds"]),
        count(record["paper_times_none"]),
    ]


def _total(run: Run, column: str) -> float:
    return (
        float(np.sum(run.metrics[column].to_numpy(float)))
        if column in run.metrics
        else float("nan")
    )


def _last(runs: Sequence[Run], column: str) -> float | None:
    values = [run.metrics[column].to_numpy(float)[-1] for run in runs if column in run.metrics]
    return float(np.mean(values)) if values else None
