"""Claims about what single intervals leave behind: h_t, their modes, and signs of estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest

from glocal_exp.koopman import HankelDMD
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.claims.criterion import Criterion, Finding, OfRuns, decided, verdict
from glocal_exp.report.estimators import load_estimator, settings_of
from glocal_exp.report.runs import Run, stored_spectrum
from glocal_exp.report.selection import Selection
from glocal_exp.report.truth_points import STUDY, points, scores
from glocal_exp.report.vectors import relative_error


@dataclass(frozen=True)
class Converges(OfRuns):
    """Whether h_t settles inside an interval, in so large a share of those whose h_t are stored.

    It does where the mean of the last h_t and that of as many before them are apart by less than a
    part of the former's length: means, since the batches' noise in single ones does not settle.
    """

    last: int  # how many h_t
    within: float  # the part
    share: float  # of the intervals, at least
    method: str = "glocal"

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        drifts = []
        for *_, arrays in _stored(selections, "trajectory"):
            h = np.asarray(arrays["trajectory"], np.float64)
            before, end = h[-2 * self.last : -self.last], h[-self.last :]
            drifts.append(relative_error(before.mean(axis=0), end.mean(axis=0)))
        settled = np.asarray(drifts) < self.within
        words = (
            f"{int(settled.sum())} of the {len(settled)} intervals whose h are stored settle, "
            f"median change {100 * np.median(drifts):.0f} %"
        )
        return verdict(settled.mean() >= self.share), words


@dataclass(frozen=True)
class Predicts(OfRuns):
    """Whether Hankel DMD is nearer to an interval's last h_t than the last one before them.

    Of the intervals whose every h_t is stored, one step ahead and at the end: more often than not,
    by sign tests, corrected by Holm. Intervals of one training count as independent.
    """

    ahead: int = 10  # how many h_t are predicted from those before them
    delays: int = 10  # m of the Hankel DMD
    method: str = "glocal"

    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        errors = predictions(selections, self.ahead, self.delays)
        nearer = np.array([one["dmd"] < one["last"] for one in errors])[:, [0, -1]]
        counts, shares = nearer.sum(axis=0), nearer.mean(axis=0)
        tests = [float(binomtest(int(count), len(nearer)).pvalue) for count in counts]
        first, last = 100 * shares
        words = (
            f"nearer in {first:.0f} % of {len(nearer)} intervals one step ahead, "
            f"in {last:.0f} % {self.ahead} ahead"
        )
        return decided(tests, shares - 0.5), words


def predictions(
    selections: Mapping[str, Selection], ahead: int, delays: int
) -> list[dict[str, Float[np.ndarray, " ahead"]]]:
    """`prediction_errors` of each stored window that is long enough, and of which every h_t is."""
    found = [
        prediction_errors(arrays["trajectory"], ahead, delays)
        for _, run, arrays in _stored(selections, "trajectory")
        if run.stored.value("method.stride", 1) == 1 and len(arrays["trajectory"]) > ahead + delays
    ]
    if not found:
        raise MissingRuns(*selections)
    return found


def prediction_errors(
    trajectory: Float[Any, "n q"], ahead: int, delays: int
) -> dict[str, Float[np.ndarray, " ahead"]]:
    """Relative errors of predictions of a trajectory's last h_t from all before, by steps ahead."""
    h = np.asarray(trajectory, np.float64)
    known, target = h[:-ahead], h[-ahead:]
    places = len(known) + np.arange(ahead)
    predicted = {
        "dmd": HankelDMD().fit(known, delays).at(places),
        "dmd_all": HankelDMD(amplitudes="all").fit(known, delays).at(places),
        "mean": known.mean(axis=0),
        "last": known[-1],
    }
    return {name: relative_error(value, target) for name, value in predicted.items()}


@dataclass(frozen=True)
class Modes(OfRuns):
    """Whether modes are as in Fig. 4, middle, in every run's first interval.

    Steady ones are of an order of magnitude, |b_j u_j| nearest to that power of ten, and all others
    are smaller after the interval than at its start.
    """

    order: float  # of the paper, a power of ten
    hyperparameter: str = "learning_rate"  # the component u_j is read at
    tolerance: float = 0.02  # within which of 1 an eigenvalue counts as steady
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


@dataclass(frozen=True)
class RightMoreOften(Criterion):
    """Whether an estimate has the sign of a derivative more often than each of others, and chance.

    By a sign test over the derivatives whose sign one of two alone has (McNemar's, exact), and by
    one of whether it is right, corrected together by Holm. Derivatives by two hyperparameters, and
    at two intervals of one training, count as independent.
    """

    truth: str  # which derivative of the final loss
    moved: Sequence[str]  # by which hyperparameters
    # subject, others: files of configs/estimator
    subject: str
    others: Sequence[str]

    def judge(self, context: Context) -> Finding:
        found, _ = points(context)
        made = [load_estimator(context.configs, name) for name in (self.subject, *self.others)]
        if not all(one.fits(point) for one in made for point in found):
            raise MissingStudy(STUDY)
        rows: Any = scores(found, made)
        rows = rows[(rows["truth"] == self.truth) & rows["hyperparameter"].isin(self.moved)]
        if rows.empty:
            raise MissingStudy(STUDY)
        right = rows.pivot(columns="estimator", index=["point", "hyperparameter"], values="right")
        right = right[[one.label for one in made]]
        own, rivals = right.to_numpy()[:, :1], right.to_numpy()[:, 1:]
        apart = np.hstack([own - rivals, 2 * own - 1])  # 1, 0 or -1
        more, less = (apart > 0).sum(axis=0), (apart < 0).sum(axis=0)
        alone = zip(more.tolist(), (more + less).tolist(), strict=True)
        tests: Any = [binomtest(k, n).pvalue if n else 1.0 for k, n in alone]
        counts = "; ".join(f"{count:.0f} ({label})" for label, count in right.sum().items())
        size = f"study {STUDY}, {settings_of(found)}"
        return Finding(decided(tests, more - less), f"right of {len(right)}: {counts}", size)
