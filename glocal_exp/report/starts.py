"""Runs of one experiment from several starts and under several meta optimizers, cell by cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.selection import Selection, select
from glocal_exp.store import find_runs

START, META = "task.init.learning_rate", "choices.meta_optimizer"
NONE = "none"  # nothing moves, whatever the meta optimizer


@dataclass(frozen=True)
class Cell:
    """What is stored from one initial learning rate under one meta optimizer.

    Attributes:
        meta_optimizer: its id; constant hyperparameters are in every one's cells.
        start: initial learning rate.
    """

    meta_optimizer: str
    start: float
    selection: Selection


def cells(
    context: Context, experiment: str, meta_optimizers: Mapping[str, str], methods: Sequence[str]
) -> list[Cell]:
    """By meta optimizer in the order given, then by start.

    Raises:
        MissingRuns: none is stored.
    """
    stored = find_runs(context.runs, {"experiment": experiment}, check_source=False)
    starts = sorted({float(run.value(START)) for run in stored if not run.damage})
    moving, found = sorted(set(methods) - {NONE}), []
    for meta in meta_optimizers:
        for start in starts:
            conditions = {"method": moving, META: meta}, {"method": NONE}
            parts = [
                part
                for condition in conditions
                if (part := select(context.runs, experiment, (), {START: start, **condition}))
            ]
            if parts:
                runs = tuple(run for part in parts for run in part.runs)
                notes = dict.fromkeys(note for part in parts for note in part.notes)
                found.append(Cell(meta, start, replace(parts[0], runs=runs, notes=tuple(notes))))
    if not found:
        raise MissingRuns(experiment)
    return found
