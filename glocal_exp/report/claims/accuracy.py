"""Claims about final accuracies: of methods, of windows, from several starts; divergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.criterion import Criterion, Finding, OfRuns, size, surely, verdict
from glocal_exp.report.formats import signed
from glocal_exp.report.labelled import alike
from glocal_exp.report.objects import load
from glocal_exp.report.runs import Run, readable
from glocal_exp.report.selection import Selection, together
from glocal_exp.report.starts import Cell, cells
from glocal_exp.stats import mean_interval, p_value, paired_differences

Apart = Mapping[str, Sequence[float]]
LAST = 5  # evaluations at the end of training whose mean is a run's accuracy
WINDOW = ("method.window", "method.delays")


@dataclass(frozen=True)
class Difference(OfRuns):
    """Subject minus other in percentage points, paired by seed, of the last evaluations' means.

    It agrees if it holds in every experiment, disagrees if the contrary does in one. `above` holds
    where the difference is positive at the level of 5 %, two-sided and corrected by Holm over the
    experiments; its contrary are the other sign, and equality. `equal` holds where the 90 %
    interval lies within the margin (two one-sided tests); its contrary are differences, corrected
    likewise, of means beyond the margin.
    """

    subject: str
    other: str
    expected: Literal["above", "equal"]  # what it says
    margin: float = 0.5  # points

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        apart = {
            name: paired_differences(*(ends(one.of(method)) for method in self.methods))
            for name, one in selections.items()
        }
        if self.expected == "above":
            return above(apart, self.margin), in_words(apart)
        means, sure, equal = tests(apart, self.margin)
        different = sure & (abs(means) > self.margin)
        return verdict(equal.all(), different.any()), in_words(apart)


def above(apart: Apart, margin: float) -> str:
    """The verdict on differences that should all be positive; equal ones are not."""
    means, sure, equal = tests(apart, margin)
    positive, negative = sure & (means > 0), sure & (means < 0)
    return verdict(positive.all(), (negative | (equal & ~positive)).any())


def tests(apart: Apart, margin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, which of them are surely not 0 (Holm), and which differences lie within the margin."""
    means = np.array([np.mean(values) for values in apart.values()])
    sure = surely([p_value(values) for values in apart.values()])
    intervals = [mean_interval(values, 0.9) for values in apart.values()]
    equal = np.array([-margin < low and high < margin for _, low, high in intervals])
    return means, sure, equal


@dataclass(frozen=True)
class Diverges(OfRuns):
    """Whether a method's weights are not finite in the end: in every experiment in some run."""

    method: str

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        lost = {name: len(one.lost(self.method)) for name, one in selections.items()}
        counts = (f"{n} of {len(selections[name].runs)} ({name})" for name, n in lost.items())
        return verdict(all(lost.values())), "diverged: " + ", ".join(counts)


def ends(runs: Sequence[Run], last: int = LAST, column: str = "test_accuracy") -> dict[int, float]:
    """Percent by seed, the mean of the last so many evaluations, of a run that diverged too.

    That before training is one of them only where there is no other.
    """
    found = {}
    for run in runs:
        values = run.column(column)
        finite = np.isfinite(values)
        trained = finite & (run.column("outer_step") > 0)
        found[run.seed] = 100 * float(np.mean(values[trained if trained.any() else finite][-last:]))
    return found


def in_words(apart: Apart) -> str:
    """Each mean difference in points, with its interval and what it is of."""
    return ", ".join(f"{signed(*mean_interval(values))} ({name})" for name, values in apart.items())


@dataclass(frozen=True)
class BestWindow(Criterion):
    """Whether one window ends above every other, paired by delays and seed (Holm over windows)."""

    experiment: str  # whose runs of glocal
    best: int  # the window that the claim names
    column: str = "validation_accuracy"  # of the records, an accuracy
    margin: float = 0.5  # points, within which two windows are equal

    def judge(self, context: Context) -> Finding:
        selection, grid = windows_and_delays(context, self.experiment, self.column)
        table = grid.pivot(index=["delays", "seed"], columns="window", values="value")
        apart = {
            f"than {window}": values
            for window in table
            if window != self.best and self.best in table
            if (values := (table[self.best] - table[window]).dropna().tolist())
        }
        if not apart:
            raise MissingRuns(self.experiment)
        found = above(apart, self.margin)
        return Finding(found, in_words(apart), size({self.experiment: selection}))


def windows_and_delays(
    context: Context, experiment: str, column: str
) -> tuple[Selection, pd.DataFrame]:
    """The longest finished runs of glocal, and of each its window, delays, seed and `value`.

    That is the column's mean over the last evaluations, in percent.

    Raises:
        MissingRuns: there is none.
    """
    stored = readable(context.runs, experiment)
    pairs = {tuple(map(run.value, WINDOW)) for run in stored if run.method == "glocal"}
    where = {"experiment": experiment, "method": "glocal"}
    found = alike(context, {pair: where | dict(zip(WINDOW, pair, strict=True)) for pair in pairs})
    if not found:
        raise MissingRuns(experiment)
    rows = [
        {"window": window, "delays": delays, "seed": seed, "value": value}
        for (window, delays), one in found.items()
        for seed, value in ends(one.runs, column=column).items()
    ]
    whole = together(list(found.values()))
    runs = sorted(whole.runs, key=lambda run: run.stored.path)
    return replace(whole, runs=tuple(runs)), pd.DataFrame(rows)


@dataclass(frozen=True)
class AboveFromStarts(Criterion):
    """Whether a method ends above each of others; differences as in `Difference`.

    A seed's is the mean over the starts, of seeds that subject and other have from all of them. The
    others are one family of tests.
    """

    starts: Sequence[float]  # initial learning rates
    # subject, others: GROUP/METHOD, of the figure's groups
    subject: str
    others: Sequence[str]
    figure: str = "recovery"  # of runs from several starts, `recovery` or one like it
    margin: float = 0.5  # points; what is surely nearer counts as equal

    def judge(self, context: Context) -> Finding:
        file = context.configs / f"figure/{self.figure}.yaml"
        shown = load(file)
        wanted = {name.partition("/")[0] for name in (self.subject, *self.others)}
        if unknown := wanted - set(shown.groups):
            raise UserError(f"{file} has no group {', '.join(unknown)}.")
        groups = {name: shown.groups[name] for name in wanted}
        found = cells(context, shown.experiment, groups)
        subject = self._ends(found, self.subject)
        differences = {other: subject - self._ends(found, other) for other in self.others}
        apart = {other: of.dropna().mean(axis=1).tolist() for other, of in differences.items()}
        if not all(apart.values()):
            raise MissingRuns(shown.experiment)
        least = min(map(len, apart.values()))
        starts = ", ".join(f"{start:g}" for start in self.starts)
        size = f"from {starts}: {least} seed{'s' * (least != 1)} or more"
        return Finding(above(apart, self.margin), in_words(apart), size)

    def _ends(self, found: Sequence[Cell], name: str) -> pd.DataFrame:
        """Percent by seed, a column a start; empty where nothing is stored from one."""
        meta, _, method = name.partition("/")
        by_start = {
            cell.start: ends([run for run in cell.selection.of(method) if run.finished])
            for cell in found
            if cell.meta_optimizer == meta
        }
        return pd.DataFrame(by_start, dtype=float).reindex(columns=list(self.starts))
