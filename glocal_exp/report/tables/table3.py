"""Table 3: run time by method, with the work that explains it, beside the paper's numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Artifact, Context, MissingRuns
from glocal_exp.report.formats import method_label, spread
from glocal_exp.report.selection import Selection, select
from glocal_exp.report.sheet import Column, Sheet
from glocal_exp.stats import summarize

COLUMNS = (
    Column("method", "method", method_label, words=True),
    Column("time (s)", ("seconds_mean", "seconds_deviation"), spread),
    Column("per 1,000 steps (s)", "seconds_per_1000_steps", "{:,.1f}"),
    Column("times none", "times_none", "{:,.1f}"),
    Column("compilation (s)", "compile_seconds_mean", "{:,.1f}"),
    Column("tangent steps", "tangent_steps", "{:,.0f}"),
    Column("validation gradients", "validation_gradients", "{:,.0f}"),
    Column("paper: time (s)", "paper_seconds", "{:,.1f}"),
    Column("paper: times none", "paper_times_none", "{:,.1f}"),
)
READING = (
    "Time is the wall time of training and hypergradients, mean and standard deviation over "
    "seeds; compilation is apart, evaluation is in neither. Counts are calls a seed. 'local' "
    "computes the one $h_t$ an interval that it needs, 'local, every $h_t$' all of them. The "
    "paper's times are for 10,000 steps on an NVIDIA RTX 6000 Ada; it does not say which of the "
    "two its local is."
)


@dataclass(frozen=True)
class RunTime(Artifact):
    """One row a method.

    Attributes:
        experiments: the first of them that has runs is read.
        methods: those that the comparison needs.
    """

    experiments: Sequence[str]
    methods: Sequence[str] = ("none", "local", "local_every", "glocal", "global")
    reading: str = field(default=READING, kw_only=True)

    def make(self, context: Context) -> Sheet:
        first = self.experiments[0]
        stored = (select(context.runs, name, self.methods) for name in self.experiments)
        selection = next((one for one in stored if one), None)
        records = list(_records(selection, context)) if selection else []
        if selection is None or not records:
            raise MissingRuns([first])
        text = self.caption(caption.describe(selection, context))
        if selection.experiment != first:
            text += (
                f"\nNo run of {first} is stored: these are the times of {selection.experiment}, "
                "whose runs may have shared the machine.\n"
            )
        complete = selection.experiment == first and not selection.incomplete
        return Sheet(pd.DataFrame(records), COLUMNS, text, () if complete else (first,))


def _records(selection: Selection, context: Context) -> Iterator[dict[str, Any]]:
    """Full-precision numbers of each method; only finished runs have a time."""
    finished = {name: [r for r in selection.of(name) if r.finished] for name in selection.methods}
    none = [run.total("seconds") for run in finished.get("none", ())]
    printed_none = context.printed("table3", "run_time", "none")
    for method, runs in finished.items():
        if not runs:
            continue
        seconds = summarize([run.total("seconds") for run in runs])
        printed = context.printed("table3", "run_time", method)
        yield {
            "method": method,
            "steps": selection.steps,
            "seeds": len(runs),
            "seconds_mean": float(seconds.mean),
            "seconds_deviation": float(seconds.deviation),
            "seconds_per_1000_steps": float(seconds.mean) / selection.steps * 1000,
            "times_none": seconds.mean / np.mean(none) if none and sum(none) else None,
            "compile_seconds_mean": np.mean([run.total("compile_seconds") for run in runs]),
            "evaluation_seconds_mean": np.mean([run.total("evaluation_seconds") for run in runs]),
            "tangent_steps": np.mean([run.last("tangent_steps") for run in runs]),
            "validation_gradients": np.mean([run.last("validation_gradients") for run in runs]),
            "paper_seconds": printed,
            "paper_times_none": printed / printed_none if printed and printed_none else None,
        }
