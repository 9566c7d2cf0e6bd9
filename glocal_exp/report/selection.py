"""Which stored runs of an experiment are compared, and what must be said about the others."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.runs import Run, read
from glocal_exp.report.style import method_order
from glocal_exp.store import find_runs

SUMMARY = {
    "mean": "mean", "deviation": "std", "standard_error": "sem", "minimum": "min", "maximum": "max",
}  # fmt: skip

COMPARISON = {"none", "local", "glocal"}  # choice: with these methods there is something to compare


@dataclass(frozen=True)
class Selection:
    """The runs of one experiment that are compared: equal in steps, one variant a method."""

    experiment: str
    steps: int  # T of all of them
    runs: tuple[Run, ...]  # by method in legend order, then by seed
    # sentences about what is absent, unfinished, out of date or left out
    notes: tuple[str, ...] = ()
    incomplete: bool = False

    @cached_property
    def methods(self) -> list[str]:
        return method_order(run.method for run in self.runs)

    @cached_property
    def seeds(self) -> list[int]:
        return sorted({run.seed for run in self.runs})

    @property
    def diverged(self) -> bool:
        """Whether one of them has."""
        return any(run.diverged for run in self.runs)

    @cached_property
    def hyperparameters(self) -> list[str]:
        """Those recorded, in their order."""
        names = dict.fromkeys(name for run in self.runs for name in run.metrics.columns)
        prefix = "hyperparameter/"
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def of(self, method: str | None) -> list[Run]:
        """The runs of one method, or all."""
        return [run for run in self.runs if method in (None, run.method)]

    def intervals(self, array: str) -> Iterator[tuple[Run, int, dict[str, np.ndarray]]]:
        """Run, outer step and arrays of every interval that has this one stored, and finite."""
        for run in self.runs:
            for s, arrays in run.intervals().items():
                if array in arrays and np.isfinite(arrays[array]).all():
                    yield run, s, arrays

    def finals(self, method: str | None = None, column: str = "test_accuracy") -> dict[int, float]:
        """Percent by seed: the last measured value of each finished run, of one method or all."""
        found = {run.seed: run.last(column) for run in self.of(method) if run.finished}
        return {seed: 100 * value for seed, value in found.items() if np.isfinite(value)}

    def final_numbers(self, method: str | None = None) -> dict[str, float]:
        """`finals` summarised over the seeds, then each by its seed; `seeds` alone if none has."""
        finals = self.finals(method)
        if not finals:
            return {"seeds": 0}
        summary: Any = pd.Series(finals).agg(list(SUMMARY.values()))
        return (
            {"seeds": len(finals), "diverged": len(self.lost(method))}
            | dict(zip(SUMMARY, summary, strict=True))
            | {f"seed_{seed}": value for seed, value in finals.items()}
        )

    def lost(self, method: str | None = None) -> set[int]:
        """The seeds of finished runs that diverged, of one method or all."""
        return {run.seed for run in self.of(method) if run.finished and run.diverged}


def select(
    root: Path,
    experiment: str,
    expected: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    *,
    ends: bool = False,
) -> Selection | None:
    """The runs to compare: the longest of which there is a comparison.

    That is the largest number of steps at which all of `COMPARISON` have a finished run, or else
    as many as have at any. Where a method has several variants, the one with the most finished
    seeds, then the most validation images, is taken. None when there is no run with a record.

    Args:
        expected: methods whose absence is to be noted.
        where: further conditions, as in `store.find_runs`.
        ends: what counts is where runs end, so that unfinished ones are left out.
    """
    runs, notes = read(find_runs(root, {"experiment": experiment} | dict(where or {})))
    if ends:
        left_out = [run for run in runs if not run.finished]
        notes += [f"Left out: {run.method} seed {run.seed}, unfinished." for run in left_out]
        runs = [run for run in runs if run.finished]
    if not runs:
        return None
    steps = _length([run for run in runs if run.finished] or runs)
    if others := sorted({run.steps for run in runs} - {steps}):
        listed = ", ".join(f"{length:,}" for length in others)
        notes.append(f"Runs of other lengths are stored and not shown (T = {listed}).")
    kept, dropped = _one_variant_a_method([run for run in runs if run.steps == steps])
    notes += [f"A further variant of {run_name} is stored and not shown." for run_name in dropped]
    selection = Selection(experiment, steps, tuple(kept))
    gaps = _gaps(selection, expected)
    notes = (*gaps, *_states(selection, ends), *notes)
    return replace(selection, notes=notes, incomplete=bool(gaps))


def select_all(
    context: Context,
    experiments: Iterable[str],
    expected: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Selection], tuple[str, ...]]:
    """`select` by experiment, and the experiments of which something is missing.

    Raises:
        MissingRuns: all is.
    """
    found = {name: select(context.runs, name, expected, where) for name in experiments}
    stored = {name: one for name, one in found.items() if one}
    if not stored:
        raise MissingRuns(*found)
    return stored, tuple(name for name, one in found.items() if not one or one.incomplete)


def together(parts: Sequence[Selection]) -> Selection:
    """The runs and notes of selections that differ in settings, as one."""
    runs = tuple(run for part in parts for run in part.runs)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return replace(parts[0], runs=runs, notes=notes)


def _length(runs: Sequence[Run]) -> int:
    methods: dict[int, set[str]] = defaultdict(set)
    for run in runs:
        methods[run.steps].add(run.method)
    return max(methods, key=lambda steps: (len(methods[steps] & COMPARISON), steps))


def _one_variant_a_method(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """The runs to show, in the order of the legend, and the variants that are not shown."""
    kept, dropped = [], []
    for method in method_order(run.method for run in runs):
        variants: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            if run.method == method:
                variants[run.stored.variant].append(run)
        best = max(variants, key=lambda name: _preference(name, variants[name]))
        kept += sorted(variants.pop(best), key=lambda run: run.seed)
        dropped += [f"{method} ({name})" for name in variants]
    return kept, sorted(dropped)


def _preference(name: str, runs: Sequence[Run]) -> tuple[int, int, int, str]:
    finished = sum(run.finished for run in runs)
    current = sum(run.stored.status != "stale" for run in runs)
    return finished, max(run.gradient_images or 0 for run in runs), current, name


def _gaps(selection: Selection, expected: Sequence[str]) -> list[str]:
    absent = [name for name in expected if name not in selection.methods]
    notes = [f"No run of {', '.join(absent)} is stored."] if absent else []
    for method in selection.methods:
        lacking = sorted(set(selection.seeds) - {run.seed for run in selection.of(method)})
        if lacking:
            notes.append(f"{method} lacks seed {', '.join(map(str, lacking))}.")
    return notes


def _states(selection: Selection, ends: bool) -> list[str]:
    """What the reader must know about the runs shown, over training or at its end."""
    shown = "with what they ended with" if ends else "up to the last finite point"
    by_method = {method: selection.of(method) for method in selection.methods}
    notes = []
    for text, holds in (
        ("unfinished, shown as far as they are", lambda run: not run.finished),
        ("from an older version of the numerical code", lambda run: run.stored.status == "stale"),
        (f"diverged, shown {shown}", lambda run: run.diverged),
    ):
        counts = {name: sum(map(holds, runs)) for name, runs in by_method.items()}
        named = [f"{name} {n} of {len(by_method[name])}" for name, n in counts.items() if n]
        if named:
            notes.append(f"Runs {text}: {'; '.join(named)}.")
    skipped = {
        name: int(sum(np.nansum(run.column("skipped")) for run in runs))
        for name, runs in by_method.items()
    }
    if listed := "; ".join(f"{name} {count}" for name, count in skipped.items() if count):
        notes.append(f"Meta steps skipped because the estimate was not finite: {listed}.")
    return notes
