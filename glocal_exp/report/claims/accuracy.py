"""Claims about final accuracies: one method above, below or equal to another; divergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glocal_exp.report.artifact import Context
from glocal_exp.report.claims.criterion import (
    AGREES,
    DISAGREES,
    LEVEL,
    UNDECIDED,
    Criterion,
    Finding,
    chosen,
    holm,
    size,
)
from glocal_exp.report.formats import signed
from glocal_exp.report.runs import Run
from glocal_exp.stats import mean_interval, p_value, paired_differences

LAST = 5
"""Evaluations at the end of training whose mean is a run's accuracy."""


@dataclass(frozen=True)
class Difference(Criterion):
    """Subject minus other in percentage points, paired by seed, of the last evaluations' means.

    It agrees if it holds in every experiment, disagrees if the contrary does in one. `above` holds
    where the difference is positive at the level of 5 %, two-sided and corrected by Holm over the
    experiments; its contrary are the other sign, and equality. `equal` holds where the 90 %
    interval lies within the margin (two one-sided tests); its contrary are differences, corrected
    likewise, of means beyond the margin.

    Attributes:
        experiments: those that the claim is about.
        expected: what it says.
        margin: points.
    """

    experiments: Sequence[str]
    subject: str
    other: str
    expected: Literal["above", "equal"]
    margin: float = 0.5

    def judge(self, context: Context) -> Finding:
        selections = {
            name: chosen(context, name, (self.subject, self.other)) for name in self.experiments
        }
        apart = {}
        for name, one in selections.items():
            last = [ends(one.of(method)) for method in (self.subject, self.other)]
            apart[name] = paired_differences(*last)
        if self.expected == "above":
            verdict = above(list(apart.values()), self.margin)
        else:
            verdict = self._equal(list(apart.values()))
        return Finding(verdict, in_words(apart), size(selections))

    def _equal(self, apart: Sequence[Sequence[float]]) -> str:
        far = [abs(np.mean(values)) > self.margin for values in apart]
        if all(within(values, self.margin) for values in apart):
            return AGREES
        return DISAGREES if any(np.multiply(signs(apart), far)) else UNDECIDED


def above(apart: Sequence[Sequence[float]], margin: float) -> str:
    """The verdict on differences of which all should be positive."""
    found = signs(apart)
    if all(sign > 0 for sign in found):
        return AGREES
    contrary = any(
        sign < 0 or (within(values, margin) and not sign > 0)
        for sign, values in zip(found, apart, strict=True)
    )
    return DISAGREES if contrary else UNDECIDED


def signs(apart: Sequence[Sequence[float]]) -> list[float]:
    """Of the means of a family of differences; 0 where a mean might be 0 (Holm)."""
    corrected = holm([p_value(values) for values in apart])
    pairs = zip(apart, corrected, strict=True)
    return [float(np.sign(np.mean(values))) if p < LEVEL else 0.0 for values, p in pairs]


def within(values: Sequence[float], margin: float) -> bool:
    """Two one-sided tests: the 90 % interval of the mean lies within the margin around 0."""
    _, low, high = mean_interval(values, 0.9)
    return bool(-margin < low and high < margin)


@dataclass(frozen=True)
class Diverges(Criterion):
    """Whether a method's weights are not finite in the end: in every experiment in some run.

    Attributes:
        experiments: those that the claim is about.
    """

    experiments: Sequence[str]
    method: str

    def judge(self, context: Context) -> Finding:
        selections = {name: chosen(context, name, (self.method,)) for name in self.experiments}
        lost = {name: len(one.lost(self.method)) for name, one in selections.items()}
        counts = (f"{n} of {len(selections[name].runs)} ({name})" for name, n in lost.items())
        verdict = AGREES if all(lost.values()) else DISAGREES
        return Finding(verdict, "diverged: " + ", ".join(counts), size(selections))


def ends(runs: Sequence[Run], last: int = LAST, column: str = "test_accuracy") -> dict[int, float]:
    """Percent by seed, the mean of the last so many evaluations, of a run that diverged too."""
    found = {}
    for run in runs:
        values = run.column(column)
        found[run.seed] = 100 * float(np.mean(values[np.isfinite(values)][-last:]))
    return found


def in_words(apart: Mapping[str, Sequence[float]]) -> str:
    """Each mean difference in points, with its interval and what it is of."""
    parts = []
    for name, values in apart.items():
        mean, low, high = mean_interval(values)
        interval = f" [{signed(low)}, {signed(high)}]" if len(values) > 1 else ""
        parts.append(f"{signed(mean)}{interval} ({name})")
    return ", ".join(parts)
