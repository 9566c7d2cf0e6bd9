"""Claims about final accuracies from learning rates that are too low or too high."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.accuracy import above, ends, in_words
from glocal_exp.report.claims.criterion import Criterion, Finding
from glocal_exp.report.objects import load
from glocal_exp.report.starts import Cell, cells


@dataclass(frozen=True)
class AboveFromStarts(Criterion):
    """Whether a method ends above each of others; differences as in `accuracy.Difference`.

    A seed's is the mean over the starts, of seeds that subject and other have from all of them. The
    others are one family of tests.
    """

    starts: Sequence[float]  # initial learning rates
    # subject, others: GROUP/METHOD, of the figure's groups
    subject: str
    others: Sequence[str]
    figure: str = "recovery"  # of runs from several starts, `recovery` or one like it
    margin: float = 0.5  # points; what is surely nearer counts as equal

    def judge(self, context: Context) -> Finding:
        file = context.configs / f"figure/{self.figure}.yaml"
        shown = load(file)
        wanted = {name.partition("/")[0] for name in (self.subject, *self.others)}
        if unknown := wanted - set(shown.groups):
            raise UserError(f"{file} has no group {', '.join(unknown)}.")
        groups = {name: shown.groups[name] for name in wanted}
        found = cells(context, shown.experiment, groups)
        subject = self._ends(found, self.subject)
        differences = {other: subject - self._ends(found, other) for other in self.others}
        apart = {other: of.dropna().mean(axis=1).tolist() for other, of in differences.items()}
        if not all(apart.values()):
            raise MissingRuns(shown.experiment)
        least = min(map(len, apart.values()))
        starts = ", ".join(f"{start:g}" for start in self.starts)
        size = f"from {starts}: {least} seed{'s' * (least != 1)} or more"
        return Finding(above(apart, self.margin), in_words(apart), size)

    def _ends(self, found: Sequence[Cell], name: str) -> pd.DataFrame:
        """Percent by seed, a column a start; empty where nothing is stored from one."""
        meta, _, method = name.partition("/")
        by_start = {
            cell.start: ends([run for run in cell.selection.of(method) if run.finished])
            for cell in found
            if cell.meta_optimizer == meta
        }
        return pd.DataFrame(by_start, dtype=float).reindex(columns=list(self.starts))
