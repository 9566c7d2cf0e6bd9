"""Claims about how far hyperparameters move, and about run times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logit

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
from glocal_exp.stats import mean_interval, p_value


@dataclass(frozen=True)
class Aggressive(Criterion):
    """Whether one method moves a hyperparameter further than another: the length of its way.

    By the sum of absolute changes on the unconstrained scale, as a ratio, paired by seed; t tests
    of its logarithm, corrected by Holm over the experiments.
    """

    experiments: Sequence[str]
    subject: str
    other: str
    hyperparameter: str = "learning_rate"

    def judge(self, context: Context) -> Finding:
        selections = {
            name: chosen(context, name, (self.subject, self.other)) for name in self.experiments
        }
        ratios = {}
        for name, one in selections.items():
            ways = [
                {run.seed: self._way(run) for run in one.of(m)} for m in (self.subject, self.other)
            ]
            ratios[name] = [ways[0][s] / ways[1][s] for s in sorted(set(ways[0]) & set(ways[1]))]
        corrected = holm([p_value(np.log(values)) for values in ratios.values()])
        means = {name: np.exp(mean_interval(np.log(values))) for name, values in ratios.items()}
        sure = [
            np.sign(mean - 1) * (p < LEVEL)
            for (mean, *_), p in zip(means.values(), corrected, strict=True)
        ]
        longer, shorter = (all(s > 0 for s in sure), any(s < 0 for s in sure))
        verdict = AGREES if longer else DISAGREES if shorter else UNDECIDED
        words = ", ".join(
            f"{mean:.2f} times"
            + (f" [{low:.2f}, {high:.2f}]" if len(ratios[name]) > 1 else "")
            + f" ({name})"
            for name, (mean, low, high) in means.items()
        )
        return Finding(verdict, words, size(selections))

    def _way(self, run: Any) -> float:
        values = run.column(f"hyperparameter/{self.hyperparameter}")
        return float(np.abs(np.diff(logit(values[np.isfinite(values)]))).sum())


@dataclass(frozen=True)
class TimesRatio(Criterion):
    """Run time over another's, training and hypergradients alone, beside the paper's.

    Attributes:
        factor: choice; another machine and other software move a ratio by so much.
        outer_steps: S of the paper, where the subject plays out to T from each of them: its time
            an interval grows as (S + 1) / 2, and what was measured with fewer is scaled by that.
    """

    experiment: str
    subject: str
    other: str
    paper: float
    factor: float = 1.5
    outer_steps: int | None = None

    def judge(self, context: Context) -> Finding:
        one = chosen(context, self.experiment, (self.subject, self.other))
        seconds = [
            np.mean([run.total("seconds") for run in one.of(m)]) for m in (self.subject, self.other)
        ]
        played = max(run.last("outer_step") for run in one.of(self.subject))
        scale = (self.outer_steps + 1) / (played + 1) if self.outer_steps else 1.0
        ratio = scale * float(seconds[0] / seconds[1])
        near = self.paper / self.factor <= ratio <= self.paper * self.factor
        verdict = AGREES if near else DISAGREES
        devices = sorted({str(run.stored.column("device")) for run in one.runs})
        scaled = f", scaled by {scale:.1f}" if scale != 1 else ""
        words = f"{ratio:.1f} times on {', '.join(devices)}{scaled}"
        return Finding(verdict, words, size({self.experiment: one}))
