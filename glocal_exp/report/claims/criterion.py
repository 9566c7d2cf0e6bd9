"""What decides a claim, what it finds, and the scoreboard of all."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.objects import entries, instantiate
from glocal_exp.report.runs import readable
from glocal_exp.report.selection import Selection, select
from glocal_exp.report.tables.grouped import Found

AGREES, DISAGREES, UNDECIDED, NOT_RUN = "agrees", "disagrees", "not decided", "not run"
LEVEL = 0.05  # of every test; of a claim's tests together (Holm)

ROLES = ("method", "subject", "target", "other")  # settings of claims that name a method
NEEDED = {"place", "claim", "paper", "criterion"}
UNREADABLE = (KeyError, NameError, SyntaxError)  # of a condition; pandas' own is a NameError


@dataclass(frozen=True)
class Finding:
    """A verdict with what stands behind it."""

    verdict: str  # one of the four words
    ours: str  # the numbers, in words
    size: str  # of what they were measured on


class Criterion(ABC):
    """A frozen dataclass of settings."""

    @abstractmethod
    def judge(self, context: Context) -> Finding:
        """The verdict; `MissingRuns` if what it needs is not stored."""


@dataclass(frozen=True)
class OfRuns(Criterion):
    """What stored runs decide."""

    experiments: Sequence[str]  # those that the claim is about
    # keys of the configs, and values, each combination of which counts as an experiment
    across: Mapping[str, Sequence[Any]] = field(default_factory=dict, kw_only=True)
    # further conditions on the runs, as in `store.find_runs`
    where: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    # of a claim about long training: shorter runs do not refute it
    steps: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        """Raise `UserError` for settings that say nothing."""
        swept = self.across.values() if isinstance(self.across, Mapping) else [()]
        lists = [self.experiments, *swept]
        if not isinstance(self.where, Mapping) or any(
            isinstance(values, str) or not isinstance(values, Sequence) or not values
            for values in lists
        ):
            raise UserError(
                "A claim needs experiments: [NAME, ...], across: {KEY: [VALUE, ...]} if its "
                f"experiments sweep, and where: {{KEY: VALUE}}; got {vars(self)}."
            )

    @property
    def methods(self) -> list[str]:
        """Those whose runs it needs of each experiment: what its settings name."""
        return [vars(self)[role] for role in ROLES if role in vars(self)]

    @abstractmethod
    def find(self, selections: Mapping[str, Selection]) -> tuple[str, str]:
        """The verdict and the numbers in words, of what is stored of each experiment."""

    def judge(self, context: Context) -> Finding:
        selections = {}
        for name, *values in product(self.experiments, *self.across.values()):
            where = {**self.where, **dict(zip(self.across, values, strict=True))}
            cell = " ".join(map(str, [name, *values]))
            selections[cell] = chosen(context, name, self.methods, where)
        found, ours = self.find(selections)
        if found == DISAGREES and any(one.steps < self.steps for one in selections.values()):
            found = UNDECIDED
        return Finding(found, ours, size(selections, of_all=True))


def verdict(holds: Any, contrary: Any = True) -> str:
    """The word for a claim that holds, whose contrary does, or neither."""
    return AGREES if holds else DISAGREES if contrary else UNDECIDED


def surely(p_values: Sequence[float]) -> np.ndarray:
    """Which of one family of tests are sure, at `LEVEL`, corrected by Holm."""
    return holm(p_values) < LEVEL


def decided(p_values: Sequence[float], effects: np.ndarray) -> str:
    """The verdict on effects that should all be above 0, by tests corrected by Holm."""
    sure = surely(p_values)
    return verdict((sure & (effects > 0)).all(), (sure & (effects < 0)).any())


def chosen(
    context: Context,
    experiment: str,
    methods: Sequence[str],
    where: Mapping[str, Any] | None = None,
) -> Selection:
    """The finished runs of an experiment, at the largest size at which all methods share a seed.

    Args:
        where: further conditions on them, as in `store.find_runs`.

    Raises:
        MissingRuns: there is none.
        UserError: a condition is on what no run has.
    """
    conditions = dict(where or {})
    stored = readable(context.runs, experiment)
    for key in conditions:
        if stored and (key == "experiment" or all(run.column(key) is None for run in stored)):
            raise UserError(
                f"A claim asks for {key}, which no run of {experiment} has; correct it."
            )
    lengths = {run.column("steps") or 0 for run in stored}
    for steps in sorted(lengths, reverse=True):
        found = select(context.runs, experiment, where={**conditions, "steps": steps}, ends=True)
        if found and common_seeds(found, methods):
            runs = tuple(run for run in found.runs if run.method in methods)
            return replace(found, runs=runs)
    raise MissingRuns(experiment)


def common_seeds(selection: Selection, methods: Sequence[str]) -> set[int]:
    """Those that all of the methods have."""
    of_each = [{run.seed for run in selection.of(name)} for name in methods]
    return set.intersection(*of_each) if of_each else set(selection.seeds)


def size(selections: Mapping[str, Selection], *, of_all: bool = False) -> str:
    """Steps and seeds of experiments, in words; `of_all`: seeds that all of their methods have."""
    by_size: dict[str, list[str]] = {}
    for name, one in selections.items():
        seeds = len(common_seeds(one, one.methods) if of_all else one.seeds)
        words = f"T = {one.steps:,}, {seeds} seed{'s' * (seeds != 1)}"
        by_size.setdefault(words, []).append(name)
    return "; ".join(f"{words} ({', '.join(names)})" for words, names in by_size.items())


def holm(values: Sequence[float]) -> np.ndarray:
    """P values of one family, corrected (Holm 1979); NaN counts as 1."""
    given = np.nan_to_num(np.asarray(values, np.float64), nan=1.0)
    order = np.argsort(given, kind="stable")
    stepped = np.arange(len(given), 0, -1) * given[order]
    return np.minimum(1.0, np.maximum.accumulate(stepped))[np.argsort(order)]


def claims(context: Context, file: str) -> Found:
    """A row a claim, in the order of the paper's text.

    Args:
        file: seen from the repository; by id what a claim says, where, and what decides it.
    """
    path = context.configs.parent / file
    rows, missing = [], []
    for name, settings in entries(path).items():
        finding, lacking = judge(name, settings, path, context)
        missing += lacking
        about = {key: settings[key] for key in ("place", "claim", "paper")}
        rows.append({"id": name} | about | vars(finding))
    counts = Counter(row["verdict"] for row in rows)
    if set(counts) <= {NOT_RUN}:
        raise MissingRuns(*dict.fromkeys(missing))
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return Found(pd.DataFrame(rows), [], {"total": total}, missing=tuple(dict.fromkeys(missing)))


def judge(name: str, settings: dict, path: Path, context: Context) -> tuple[Finding, list[str]]:
    """What is found of a claim, and the experiments whose runs it lacks; of studies none."""
    if not isinstance(settings, dict) or set(settings) != NEEDED:
        raise UserError(f"{path}: {name} should have {', '.join(sorted(NEEDED))}.")
    lacking = []
    try:
        if settings["criterion"] is not None:
            return instantiate(settings["criterion"], path).judge(context), []
    except UNREADABLE as error:
        raise UserError(f"{path}: {name}'s criterion cannot be read: {error}.") from error
    except MissingRuns as error:
        lacking = [] if isinstance(error, MissingStudy) else list(error.args)
    return Finding(NOT_RUN, "", ""), lacking
