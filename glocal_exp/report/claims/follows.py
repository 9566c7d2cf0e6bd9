"""Claims that hyperparameters take one way like another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import logit

from glocal_exp.report.artifact import Context
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, Criterion, Finding, chosen, size


@dataclass(frozen=True)
class Follows(Criterion):
    """Whether a method's hyperparameters stay closer to the target's than another method's do.

    Distances are means over outer steps and hyperparameters of the absolute difference on the
    unconstrained scale, by seed; it agrees where the subject is closer in every seed of every
    experiment, and disagrees where it is not closer in half of them.
    """

    experiments: Sequence[str]
    subject: str
    target: str
    other: str

    def judge(self, context: Context) -> Finding:
        methods = self.subject, self.target, self.other
        selections = {name: chosen(context, name, methods) for name in self.experiments}
        words, closer = [], []
        for name, one in selections.items():
            ways = {m: {r.seed: _way(r, one.hyperparameters) for r in one.of(m)} for m in methods}
            shared = sorted(set.intersection(*(set(found) for found in ways.values())))
            own, others = (
                np.array([np.nanmean(np.abs(ways[m][s] - ways[self.target][s])) for s in shared])
                for m in (self.subject, self.other)
            )
            closer += (own < others).tolist()
            words.append(f"{own.mean():.2f}, {self.other} {others.mean():.2f} ({name})")
        share = np.mean(closer) if closer else 0.0
        verdict = AGREES if share == 1 else DISAGREES if share <= 0.5 else "not decided"
        return Finding(verdict, "apart by " + ", ".join(words), size(selections))


def _way(run: Any, names: Sequence[str]) -> Float[np.ndarray, "q steps"]:
    with np.errstate(divide="ignore"):
        return np.stack([logit(run.column(f"hyperparameter/{name}")) for name in names])
