"""Claims about the ways that hyperparameters take, and about run times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import logit

from glocal_exp.report.claims.criterion import OfRuns, common_seeds, decided, verdict
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import Selection
from glocal_exp.stats import mean_interval, p_value, paired_differences


@dataclass(frozen=True)
class Aggressive(OfRuns):
    """Whether one method moves a hyperparameter further than another: the length of its way.

    By the sum of absolute changes on the unconstrained scale, as a ratio, paired by seed; t tests
    of its logarithm, corrected by Holm over the experiments.
    """

    subject: str
    other: str
    hyperparameter: str = "learning_rate"

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        logs = {
            name: paired_differences(
                *({run.seed: np.log(self._way(run)) for run in one.of(m)} for m in self.methods)
            )
            for name, one in selections.items()
        }
        ratios = {name: np.exp(mean_interval(values)) for name, values in logs.items()}
        words = (
            f"{mean:.2f} times"
            + (f" [{low:.2f}, {high:.2f}]" if len(logs[name]) > 1 else "")
            + f" ({name})"
            for name, (mean, low, high) in ratios.items()
        )
        means = np.array([np.mean(values) for values in logs.values()])
        return decided([p_value(values) for values in logs.values()], means), ", ".join(words)

    def _way(self, run: Run) -> float:
        values = run.column(f"hyperparameter/{self.hyperparameter}")
        return float(np.abs(np.diff(logit(values[np.isfinite(values)]))).sum())


@dataclass(frozen=True)
class Follows(OfRuns):
    """Whether a method's hyperparameters stay closer to the target's than another method's do.

    Distances are means over outer steps and hyperparameters of the absolute difference on the
    unconstrained scale, by seed; it agrees where the subject is closer in every seed of every
    experiment, and disagrees where it is not closer in half of them.
    """

    subject: str
    target: str
    other: str

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        words, closer = [], []
        for name, one in selections.items():
            subject, target, other = (
                {run.seed: _ways(run, one.hyperparameters) for run in one.of(method)}
                for method in self.methods
            )
            apart = np.array([
                [np.nanmean(np.abs(way[seed] - target[seed])) for way in (subject, other)]
                for seed in sorted(common_seeds(one, self.methods))
            ])  # fmt: skip
            closer += (apart[:, 0] < apart[:, 1]).tolist()
            own, others = apart.mean(axis=0)
            words.append(f"{self.subject} {own:.2f}, {self.other} {others:.2f} ({name})")
        share = np.mean(closer)
        return verdict(share == 1, share <= 0.5), "logits apart by: " + "; ".join(words)


@dataclass(frozen=True)
class TimesRatio(OfRuns):
    """Run time over another's, training and hypergradients alone, beside the paper's.

    Attributes:
        experiments: one.
        factor: choice; another machine and other software move a ratio by so much.
        outer_steps: S of the paper, where the subject plays out to T from each of them: its time
            an interval grows as (S + 1) / 2, and what was measured with fewer is scaled by that.
    """

    subject: str
    other: str
    paper: float
    factor: float
    outer_steps: int | None = None

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        (one,) = selections.values()
        own, others = (np.mean([run.total("seconds") for run in one.of(m)]) for m in self.methods)
        played = max(run.last("outer_step") for run in one.of(self.subject))
        scale = (self.outer_steps + 1) / (played + 1) if self.outer_steps else 1.0
        ratio = scale * float(own / others)
        devices = sorted({str(run.stored.column("device")) for run in one.runs})
        scaled = f", scaled by {scale:.1f}" if scale != 1 else ""
        words = f"{ratio:.1f} times on {', '.join(devices)}{scaled}"
        return verdict(1 / self.factor <= ratio / self.paper <= self.factor), words


def _ways(run: Run, names: Sequence[str]) -> Float[np.ndarray, "q steps"]:
    with np.errstate(divide="ignore"):
        return np.stack([logit(run.column(f"hyperparameter/{name}")) for name in names])
