"""Claims about what a part of the method costs, as the stored benchmarks measure it."""

import json
from dataclasses import dataclass
from typing import Any

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, Criterion, Finding


@dataclass(frozen=True)
class CostsLess(Criterion):
    """Whether one time is at most a share of another in every round of a benchmark.

    Attributes:
        benchmark: its file in results/benchmarks, without ending.
        target: the ratio's name there.
        share: choice; what counts as little.
    """

    benchmark: str
    target: str
    share: float

    def judge(self, context: Context) -> Finding:
        file = context.studies.parent / "benchmarks" / f"{self.benchmark}.json"
        found: Any = json.loads(file.read_text()) if file.exists() else {"targets": []}
        ratios = [one["ratios"] for one in found["targets"] if one["name"] == self.target]
        if not ratios:
            raise MissingRuns()
        low, *_, high = percent = sorted(100 * ratio for ratio in ratios[0])
        words = f"{percent[len(percent) // 2]:.2g} % ({low:.2g} to {high:.2g})"
        verdict = AGREES if high <= 100 * self.share else DISAGREES
        size = f"{len(percent)} rounds on {found['machine']['processor']}"
        return Finding(verdict, words, size)
