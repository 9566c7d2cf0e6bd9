"""Claims about what single intervals leave behind: trajectories of h_t and their modes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal_exp.report.artifact import MissingRuns
from glocal_exp.report.claims.criterion import OfRuns, verdict
from glocal_exp.report.runs import Run, stored_spectrum
from glocal_exp.report.selection import Selection


@dataclass(frozen=True)
class Converges(OfRuns):
    """Whether h_t settles inside an interval, in so large a share of those whose h_t are stored.

    It does where the mean of the last h_t and that of as many before them are apart by less than a
    part of the former's length: means, since the batches' noise in single ones does not settle.

    Attributes:
        last: how many h_t.
        within: choice; the part.
        share: of the intervals, at least.
    """

    method: str = "glocal"
    last: int = 10
    within: float = 0.1
    share: float = 0.9

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        drifts = [self._drift(arrays) for *_, arrays in _stored(selections, "trajectory")]
        settled = np.asarray(drifts) < self.within
        words = (
            f"{int(settled.sum())} of {len(settled)} intervals settle, "
            f"median change {100 * np.median(drifts):.0f} %"
        )
        return verdict(settled.mean() >= self.share), words

    def _drift(self, arrays: Mapping[str, np.ndarray]) -> float:
        h = np.asarray(arrays["trajectory"], np.float64)
        before, end = h[-2 * self.last : -self.last].mean(axis=0), h[-self.last :].mean(axis=0)
        return float(np.linalg.norm(end - before) / np.linalg.norm(end))


@dataclass(frozen=True)
class Modes(OfRuns):
    """Whether modes are as in Fig. 4, middle, in every run's first interval.

    Steady ones are of an order of magnitude, |b_j u_j| nearest to that power of ten, and all others
    are smaller after the interval than at its start.

    Attributes:
        order: of the paper, a power of ten.
        hyperparameter: the component u_j is read at.
        tolerance: within which of 1 an eigenvalue counts as steady.
    """

    order: float
    hyperparameter: str = "learning_rate"
    tolerance: float = 0.02
    method: str = "glocal"

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
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
        sizes = f"{min(orders):.1g} to {max(orders):.1g}" if orders else "none is steady"
        words = (
            f"of that order in {sum(alike)} of {len(alike)} intervals ({sizes}), "
            f"all others decay in {sum(decayed)}"
        )
        return verdict(all(alike) and all(decayed)), words


def _stored(
    selections: Mapping[str, Selection], array: str, outer_step: int | None = None
) -> list[tuple[Selection, Run, dict[str, Any]]]:
    """Every interval, or that one, that has this array; `MissingRuns` if none has."""
    found = [
        (one, run, arrays)
        for one in selections.values()
        for run, s, arrays in one.intervals(array)
        if outer_step in (None, s)
    ]
    if not found:
        raise MissingRuns(*selections)
    return found
