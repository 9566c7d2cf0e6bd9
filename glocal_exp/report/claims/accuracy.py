"""Claims about final accuracies: one method above, below or equal to another; divergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from glocal_exp.report.claims.criterion import LEVEL, OfRuns, holm, verdict
from glocal_exp.report.formats import signed
from glocal_exp.report.selection import Selection
from glocal_exp.stats import mean_interval, p_value, paired_differences

LAST = 5
"""Evaluations at the end of training whose mean is a run's accuracy."""


@dataclass(frozen=True)
class Difference(OfRuns):
    """Subject minus other in percentage points, paired by seed, of the last evaluations' means.

    It agrees if it holds in every experiment, disagrees if the contrary does in one. `above` holds
    where the difference is positive at the level of 5 %, two-sided and corrected by Holm over the
    experiments; its contrary are the other sign, and equality. `equal` holds where the 90 %
    interval lies within the margin (two one-sided tests); its contrary are differences, corrected
    likewise, of means beyond the margin.

    Attributes:
        expected: what it says.
        margin: points.
    """

    subject: str
    other: str
    expected: Literal["above", "equal"]
    margin: float = 0.5

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        apart = {
            name: paired_differences(*(_ends(one.of(method)) for method in self.methods))
            for name, one in selections.items()
        }
        means = np.array([np.mean(values) for values in apart.values()])
        sure = holm([p_value(values) for values in apart.values()]) < LEVEL
        equal = np.array([self._within(values) for values in apart.values()])
        if self.expected == "above":
            above, below = sure & (means > 0), sure & (means < 0)
            found = verdict(above.all(), (below | (equal & ~above)).any())
        else:
            found = verdict(equal.all(), (sure & (abs(means) > self.margin)).any())
        return found, ", ".join(_in_words(name, values) for name, values in apart.items())

    def _within(self, values: Sequence[float]) -> bool:
        _, low, high = mean_interval(values, 0.9)
        return bool(-self.margin < low and high < self.margin)


@dataclass(frozen=True)
class Diverges(OfRuns):
    """Whether a method's weights are not finite in the end: in every experiment in some run."""

    method: str

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        lost = {name: len(one.lost(self.method)) for name, one in selections.items()}
        counts = (f"{n} of {len(selections[name].runs)} ({name})" for name, n in lost.items())
        return verdict(all(lost.values())), "diverged: " + ", ".join(counts)


def _ends(runs: Sequence[Any]) -> dict[int, float]:
    """Percent by seed; a run that diverged ends where its weights left it."""
    found = {}
    for run in runs:
        values = run.column("test_accuracy")
        found[run.seed] = 100 * float(np.mean(values[np.isfinite(values)][-LAST:]))
    return found


def _in_words(name: str, values: Sequence[float]) -> str:
    mean, low, high = mean_interval(values)
    interval = f" [{signed(low)}, {signed(high)}]" if len(values) > 1 else ""
    return f"{signed(mean)}{interval} ({name})"
