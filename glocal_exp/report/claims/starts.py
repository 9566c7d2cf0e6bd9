"""Claims about final accuracies from learning rates that are too low or too high."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.accuracy import above, ends, in_words
from glocal_exp.report.claims.criterion import Criterion, Finding, size
from glocal_exp.report.objects import entries
from glocal_exp.report.starts import cells


@dataclass(frozen=True)
class AboveFromStarts(Criterion):
    """Whether a method ends above each of others; differences as in `accuracy.Difference`.

    A seed's is the mean over the starts, of seeds that subject and other have from all of them. The
    others are one family of tests.

    Attributes:
        figure: of runs from several starts, `recovery` or one like it.
        meta_optimizer: one of its groups.
        starts: initial learning rates.
        margin: points; what is surely nearer counts as equal.
    """

    meta_optimizer: str
    starts: Sequence[float]
    subject: str
    others: Sequence[str]
    figure: str = "recovery"
    margin: float = 0.5

    def judge(self, context: Context) -> Finding:
        settings = entries(context.configs / f"figure/{self.figure}.yaml")
        experiment = settings["experiment"]
        group = {self.meta_optimizer: settings["groups"][self.meta_optimizer]}
        stored = {cell.start: cell.selection for cell in cells(context, experiment, group)}
        methods, found, apart = {self.subject, *self.others}, {}, {}
        for start in self.starts:
            if start in stored:
                runs = [r for r in stored[start].runs if r.method in methods and r.finished]
                found[f"{start:g}"] = replace(stored[start], runs=tuple(runs))
        for other in self.others if len(found) == len(self.starts) else ():
            each = [(ends(one.of(self.subject)), ends(one.of(other))) for one in found.values()]
            seeds = set.intersection(*(set(a) & set(b) for a, b in each))
            if seeds:
                apart[other] = [np.mean([a[s] - b[s] for a, b in each]) for s in sorted(seeds)]
        if len(apart) < len(self.others):
            raise MissingRuns(experiment)
        return Finding(above(apart, self.margin), in_words(apart), size(found, of_all=True))
