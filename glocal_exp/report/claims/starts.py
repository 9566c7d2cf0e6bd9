"""Claims about final accuracies from learning rates that are too low or too high."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.accuracy import above, ends, in_words
from glocal_exp.report.claims.criterion import Criterion, Finding
from glocal_exp.report.objects import load
from glocal_exp.report.starts import cells


@dataclass(frozen=True)
class AboveFromStarts(Criterion):
    """Whether a method ends above each of others; differences as in `accuracy.Difference`.

    A seed's is the mean over the starts, of seeds that subject and other have from all of them. The
    others are one family of tests.

    Attributes:
        figure: of runs from several starts, `recovery` or one like it.
        starts: initial learning rates.
        subject, others: GROUP/METHOD, of the figure's groups.
        margin: points; what is surely nearer counts as equal.
    """

    starts: Sequence[float]
    subject: str
    others: Sequence[str]
    figure: str = "recovery"
    margin: float = 0.5

    def judge(self, context: Context) -> Finding:
        shown, names = load(self._file(context)), (self.subject, *self.others)
        wanted = {name.partition("/")[0] for name in names}
        if unknown := wanted - set(shown.groups):
            raise UserError(f"{self._file(context)} has no group {', '.join(unknown)}.")
        groups = {name: shown.groups[name] for name in wanted}
        of_cells = cells(context, shown.experiment, groups)
        stored = {(cell.meta_optimizer, cell.start): cell.selection for cell in of_cells}
        found: dict[str, list[dict[int, float]]] = {}
        for name in names:
            meta, _, method = name.partition("/")
            of = [
                stored[meta, start].of(method) if (meta, start) in stored else []
                for start in self.starts
            ]
            found[name] = [ends([run for run in runs if run.finished]) for runs in of]
        apart = {}
        for other in self.others:
            each = list(zip(found[self.subject], found[other], strict=True))
            seeds = set.intersection(*(set(a) & set(b) for a, b in each))
            apart[other] = [np.mean([a[s] - b[s] for a, b in each]) for s in sorted(seeds)]
        if not all(apart.values()):
            raise MissingRuns(shown.experiment)
        least = min(map(len, apart.values()))
        starts = ", ".join(f"{start:g}" for start in self.starts)
        size = f"from {starts}: {least} seed{'s' * (least != 1)} or more"
        return Finding(above(apart, self.margin), in_words(apart), size)

    def _file(self, context: Context) -> Path:
        return context.configs / f"figure/{self.figure}.yaml"
