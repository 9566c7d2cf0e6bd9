"""Claims about what single intervals leave behind: trajectories of h_t and their modes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, Criterion, Finding, chosen, size
from glocal_exp.report.runs import Run, stored_spectrum
from glocal_exp.report.selection import Selection


@dataclass(frozen=True)
class Converges(Criterion):
    """Whether h_t settles inside an interval, in so large a share of those whose h_t are stored.

    It does where the mean of the last h_t and that of as many before them are apart by less than a
    part of the former's length: means, since the batches' noise in single ones does not settle.

    Attributes:
        last: how many h_t.
        within: choice; the part.
        share: of the intervals, at least.
    """

    experiments: Sequence[str]
    method: str = "glocal"
    last: int = 10
    within: float = 0.1
    share: float = 0.9

    def judge(self, context: Context) -> Finding:
        selections = {name: chosen(context, name, (self.method,)) for name in self.experiments}
        drifts = [self._drift(arrays) for *_, arrays in _stored(selections, "trajectory")]
        settled = np.asarray(drifts) < self.within
        verdict = AGREES if settled.mean() >= self.share else DISAGREES
        words = (
            f"{int(settled.sum())} of {len(settled)} intervals settle, "
            f"median change {100 * np.median(drifts):.0f} %"
        )
        return Finding(verdict, words, size(selections))

    def _drift(self, arrays: Mapping[str, np.ndarray]) -> float:
        h = np.asarray(arrays["trajectory"], np.float64)
        before, end = h[-2 * self.last : -self.last].mean(axis=0), h[-self.last :].mean(axis=0)
        return float(np.linalg.norm(end - before) / np.linalg.norm(end))


@dataclass(frozen=True)
class Modes(Criterion):
    """Whether modes are as in Fig. 4, middle, in every run's first interval.

    Steady ones are of an order of magnitude, |b_j u_j| nearest to that power of ten, and all others
    are smaller after the interval than at its start.

    Attributes:
        order: of the paper, a power of ten.
        hyperparameter: the component u_j is read at.
        tolerance: within which of 1 an eigenvalue counts as steady.
    """

    experiments: Sequence[str]
    order: float
    hyperparameter: str = "learning_rate"
    tolerance: float = 0.02
    method: str = "glocal"

    def judge(self, context: Context) -> Finding:
        selections = {name: chosen(context, name, (self.method,)) for name in self.experiments}
        alike, decayed, orders = [], [], []
        for one, run, arrays in _stored(selections, "modes", 1):
            component = one.hyperparameters.index(self.hyperparameter)
            spectrum = stored_spectrum(arrays, int(run.stored.value("method.stride", 1)))
            interval = int(run.stored.column("interval"))
            magnitudes = spectrum.magnitudes(component, interval + 1)
            steady = spectrum.steady(self.tolerance)
            found = magnitudes[steady, 0]
            orders += found.tolist()
            near = np.round(np.log10(found / self.order)) == 0
            alike.append(bool(steady.any() and near.all()))
            decayed.append(bool((magnitudes[~steady, -1] < magnitudes[~steady, 0]).all()))
        verdict = AGREES if all(alike) and all(decayed) else DISAGREES
        sizes = f"{min(orders):.1g} to {max(orders):.1g}" if orders else "none is steady"
        words = (
            f"of that order in {sum(alike)} of {len(alike)} intervals ({sizes}), "
            f"all others decay in {sum(decayed)}"
        )
        return Finding(verdict, words, size(selections))


def _stored(
    selections: Mapping[str, Selection], array: str, outer_step: int | None = None
) -> Iterator[tuple[Selection, Run, dict[str, Any]]]:
    """Every interval, or that one, that has this array; `MissingRuns` if none has."""
    found = [
        (one, run, arrays)
        for one in selections.values()
        for run in one.runs
        for s, arrays in run.intervals().items()
        if array in arrays and outer_step in (None, s) and np.isfinite(arrays[array]).all()
    ]
    if not found:
        raise MissingRuns(*selections)
    yield from found
