"""What each method comes to and what it costs, from one start or several."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.formats import DAGGER
from glocal_exp.report.objects import load
from glocal_exp.report.selection import Selection, select, select_all
from glocal_exp.report.starts import Group, cells, gains, sources
from glocal_exp.report.style import method_styles
from glocal_exp.report.tables.grouped import Found
from glocal_exp.stats import mean_interval, paired_differences

DIFFERENCE = ("difference", "difference_low", "difference_high", "difference_seeds")


def accuracies(
    context: Context, experiments: Mapping[str, str], subject: str, methods: Sequence[str]
) -> Found:
    """A row a method of each experiment.

    Args:
        experiments: experiment -> its label.
        subject: the method that the others are compared with.
        methods: those that the comparison needs.
    """
    found, missing = select_all(context, experiments, methods)
    rows = [row for one in found.values() for row in accuracy_rows(one, subject)]
    if not rows:
        raise MissingRuns(*experiments)
    marked = {n: caption.marked(experiments[n], one.runs) for n, one in found.items()}
    labels = {"experiment": marked, "method": printed(rows)}
    sources = caption.paragraphs(found.values(), context)
    return Found(pd.DataFrame(rows), sources, {"dagger": DAGGER}, labels, missing=missing)


def accuracy_rows(selection: Selection, subject: str) -> Iterator[dict[str, Any]]:
    """A row a method, compared with the subject."""
    for method in selection.methods:
        finals, lost = selection.finals(method), selection.lost(method)
        if not finals:
            continue
        each = (f"{v:.2f}{DAGGER if seed in lost else ''}" for seed, v in finals.items())
        row = {"experiment": selection.experiment, "steps": selection.steps, "method": method}
        row |= selection.final_numbers(method) | {"each": ", ".join(each)}
        apart = paired_differences(selection.finals(subject), finals)
        if method != subject and apart:
            values = (*mean_interval(apart), float(len(apart)))
            row |= dict(zip(DIFFERENCE, values, strict=True))
        yield row


def titles(groups: Mapping[str, Group]) -> dict[str, str]:
    """Of each, by its meta optimizer."""
    return {meta: group.title for meta, group in groups.items()}


def recovery(context: Context, figure: str, subject: str) -> Found:
    """Final accuracy beside constant hyperparameters: a row a method of each start.

    Args:
        figure: whose runs these are.
        subject: the method that the others are compared with.
    """
    shown = load(context.configs / f"figure/{figure}.yaml")
    found = cells(context, shown.experiment, shown.groups)
    rows = [
        {"meta_optimizer": cell.meta_optimizer, "start": cell.start} | row
        for cell in found
        for row in accuracy_rows(cell.selection, subject)
    ]
    labels = {"method": printed(rows), "meta_optimizer": titles(shown.groups)}
    return Found(pd.DataFrame(rows), sources(found, context), {"dagger": DAGGER}, labels)


def costs_and_gains(context: Context, figure: str) -> Found:
    """The numbers behind a figure: a row a method; see `report.starts.gains`."""
    shown = load(context.configs / f"figure/{figure}.yaml")
    rows, found = gains(context, shown.experiment, shown.groups, shown.starts)
    labels = {"method": printed(rows.to_dict("records")), "meta_optimizer": titles(shown.groups)}
    labels |= {"front": {True: "on it", False: ""}}
    words = {"starts": ", ".join(f"{start:g}" for start in shown.starts)}
    return Found(rows, sources(found, context), words, labels)


def run_times(context: Context, experiments: Sequence[str], methods: Sequence[str]) -> Found:
    """A row a method.

    Args:
        experiments: the first of them that has runs is read.
        methods: those that the comparison needs.
    """
    first = experiments[0]
    stored = (select(context.runs, name, methods) for name in experiments)
    selection = next(filter(None, stored), None)
    rows = list(_run_times(selection, context)) if selection else []
    if selection is None or not rows:
        raise MissingRuns(first)
    sources = [caption.describe(selection, context)]
    if selection.experiment != first:
        sources.append(
            f"No run of {first} is stored: these are the times of {selection.experiment}, whose "
            "runs may have shared the machine."
        )
    complete = selection.experiment == first and not selection.incomplete
    labels, missing = {"method": printed(rows)}, () if complete else (first,)
    return Found(pd.DataFrame(rows), sources, labels=labels, missing=missing)


def _run_times(selection: Selection, context: Context) -> Iterator[dict[str, Any]]:
    """Full-precision numbers of each method; only finished runs have a time."""
    finished = {name: [r for r in selection.of(name) if r.finished] for name in selection.methods}
    none = [run.total("seconds") for run in finished.get("none", ())]
    printed_none = context.printed("table3", "run_time", "none")
    for method, runs in finished.items():
        if not runs:
            continue
        seconds = pd.Series([run.total("seconds") for run in runs])
        printed = context.printed("table3", "run_time", method)
        yield {
            "method": method,
            "steps": selection.steps,
            "seeds": len(runs),
            "seconds_mean": seconds.mean(),
            "seconds_deviation": seconds.std(),
            "seconds_per_1000_steps": seconds.mean() / selection.steps * 1000,
            "times_none": seconds.mean() / np.mean(none) if none and sum(none) else None,
            "compile_seconds_mean": np.mean([run.total("compile_seconds") for run in runs]),
            "evaluation_seconds_mean": np.mean([run.total("evaluation_seconds") for run in runs]),
            "tangent_steps": np.mean([run.last("tangent_steps") for run in runs]),
            "validation_gradients": np.mean([run.last("validation_gradients") for run in runs]),
            "paper_seconds": printed,
            "paper_times_none": printed / printed_none if printed and printed_none else None,
        }


def printed(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Methods as in the legends."""
    looks = method_styles(row["method"] for row in rows)
    return {method: look.label for method, look in looks.items()}
