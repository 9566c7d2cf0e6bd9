"""Claims about final accuracies: one method above, below or equal to another; divergence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glocal_exp.report.claims.criterion import LEVEL, OfRuns, holm, verdict
from glocal_exp.report.formats import signed
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import Selection
from glocal_exp.stats import mean_interval, p_value, paired_differences

Apart = Mapping[str, Sequence[float]]
LAST = 5  # evaluations at the end of training whose mean is a run's accuracy


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
    sure = holm([p_value(values) for values in apart.values()]) < LEVEL
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
