"""Claims about final accuracies: one method above, below or equal to another; divergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
            ends = [_ends(one.of(method)) for method in (self.subject, self.other)]
            apart[name] = paired_differences(*ends)
        corrected = holm([p_value(values) for values in apart.values()])
        signs = [
            np.sign(np.mean(values)) if p < LEVEL else 0.0
            for values, p in zip(apart.values(), corrected, strict=True)
        ]
        within = [self._within(values) for values in apart.values()]
        if self.expected == "above":
            holds = all(sign > 0 for sign in signs)
            contrary = any(
                sign < 0 or (equal and not sign > 0)
                for sign, equal in zip(signs, within, strict=True)
            )
        else:
            holds = all(within)
            beyond = [abs(np.mean(values)) > self.margin for values in apart.values()]
            contrary = any(sign and far for sign, far in zip(signs, beyond, strict=True))
        verdict = AGREES if holds else DISAGREES if contrary else UNDECIDED
        return Finding(verdict, _in_words(apart), size(selections))

    def _within(self, values: Sequence[float]) -> bool:
        _, low, high = mean_interval(values, 0.9)
        return bool(-self.margin < low and high < self.margin)


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


def _ends(runs: Sequence[Any]) -> dict[int, float]:
    """Percent by seed; a run that diverged ends where its weights left it."""
    found = {}
    for run in runs:
        values = run.column("test_accuracy")
        found[run.seed] = 100 * float(np.mean(values[np.isfinite(values)][-LAST:]))
    return found


def _in_words(apart: Mapping[str, Sequence[float]]) -> str:
    parts = []
    for name, values in apart.items():
        mean, low, high = mean_interval(values)
        interval = f" [{signed(low)}, {signed(high)}]" if len(values) > 1 else ""
        parts.append(f"{signed(mean)}{interval} ({name})")
    return ", ".join(parts)
