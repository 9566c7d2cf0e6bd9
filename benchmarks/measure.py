"""What a benchmark is made of, and its result: the same work, timed in turns.

Absolute times drift with clock speed and with what else runs; the ratio of two neighbours in one
round drifts much less. So all candidates of all comparisons take turns, and a ratio is one number
for each round, with their median and range.
"""

import importlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks import machine
from glocal_exp.errors import UserError

AGREEMENT = 1e-3  # rounding flips a maximum of the pooling now and then; see `disagreements`
PAUSE = 0.05  # seconds of rest, in which the waiting threads of the last candidate fall asleep
WARM_UP = 1.0  # seconds, long enough for memory and threads to settle

Outcome = Mapping[str, Any]  # by kind (`losses`, `momentum`): an array, or a tree's leaves
Key = tuple[str, str]  # comparison and candidate
Cost = Mapping[Key, float]  # so many units of each, added up
Seconds = Mapping[Key, Sequence[float]]  # of each round
Clock = Callable[[], float]


@dataclass(frozen=True)
class Candidate:
    """One way to do a piece of work."""

    name: str
    run: Callable[[], Any]  # does all of it and returns when it is done
    peer: str = ""  # if it is not ours: the package that it takes
    compared: bool = True  # `run` returns an `Outcome`, which has to be that of the others
    facts: Callable[[], Mapping[str, float]] = dict  # by name, asked for once it has been timed


@dataclass(frozen=True)
class Comparison:
    """One piece of work, done by every candidate with the same results."""

    name: str
    candidates: Sequence[Candidate]
    calls: int = 1  # units to a run of a candidate
    unit: str = "step"  # what is timed: step, gradient, run
    point: tuple[str, float] | None = None  # an axis of a scaling study, and where on it

    @property
    def ours(self) -> "list[Cost]":
        """A unit of it by each way that is ours: a side of a target."""
        return costs(self.name, *(way.name for way in self.candidates if not way.peer))

    @property
    def peers(self) -> "list[Cost]":
        """Likewise by each that is not."""
        return costs(self.name, *(way.name for way in self.candidates if way.peer))


@dataclass(frozen=True)
class Target:
    """The largest ratio of two costs that is aimed at; of each side the cheapest way counts."""

    name: str
    most: float | None  # None for a ratio that is only stated
    ours: Sequence[Cost]
    other: Sequence[Cost]


@dataclass(frozen=True)
class Entry:
    """What one file of `benchmarks/entries` builds."""

    title: str
    comparisons: Sequence[Comparison]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()  # sentences on what is timed, for below the table
    rounds: int | None = None  # at most so many, for what takes long


def costs(comparison: str, *ways: str) -> list[Cost]:
    """One unit of a comparison by each of these ways: a side of a target."""
    return [{(comparison, way): 1.0} for way in ways]


def measure(entry: Entry, rounds: int, clock: Clock) -> dict[str, Any]:
    """The result of one entry, as it is written to JSON (seconds a unit), if all do the same.

    Peers whose packages are not installed are left out.
    """
    peers = {way.peer for c in entry.comparisons for way in c.candidates if way.peer}
    missing = absent(peers)
    comparisons = [
        replace(c, candidates=[way for way in c.candidates if way.peer not in missing])
        for c in entry.comparisons
    ]
    for comparison in comparisons:
        check(comparison)
    before = machine.busy()
    runs = {(c.name, way.name): way.run for c in comparisons for way in c.candidates}
    rounds = min(rounds, entry.rounds or rounds)
    seconds = interleave(runs, rounds, clock)
    result: dict[str, Any] = {"title": entry.title, "rounds": rounds, "comparisons": []}
    result |= {"others": machine.others(before), "notes": entry.notes, "missing": missing}
    for c in comparisons:
        ways = [
            {"name": way.name, "ours": not way.peer, "facts": {}}
            | {"seconds": [s / c.calls for s in seconds[c.name, way.name]]}
            for way in c.candidates
        ]
        row = {"name": c.name, "unit": c.unit, "point": c.point, "candidates": ways}
        result["comparisons"].append(row)
    return concluded(result, entry)


def absent(packages: Iterable[str]) -> dict[str, str]:
    """Of these packages those that cannot be imported, and why."""
    found = {}
    for package in sorted(packages):
        try:
            importlib.import_module(package)
        except ImportError as error:
            found[package] = f"{error}; `make bench` installs what it times beside"
    return found


def check(comparison: Comparison) -> None:
    """Raise `UserError` where a candidate's results differ from the first's beyond rounding."""
    compared = [way for way in comparison.candidates if way.compared]
    expected = compared[0].run() if len(compared) > 1 else {}
    for way in compared[1:]:
        if found := disagreements(expected, way.run()):
            where = f"{comparison.name}, {way.name}"
            raise UserError(f"not the same work: {where}: {'; '.join(found)}; correct it first.")


def disagreements(ours: Outcome, other: Outcome) -> list[str]:
    """What differs by more than rounding: one sentence a kind of result.

    A kind (all gradients, all tangents of the momentum, ...) is compared as one vector, relative to
    its norm. In float64 both agree to 1e-14; in float32 two equal windows of a pooling may be
    ranked differently, which moves single gradients of a filter by up to 1e-3.
    """
    if not ours or set(ours) != set(other):
        return [f"results are {', '.join(sorted(ours))} and {', '.join(sorted(other))}"]
    found = []
    for kind in sorted(ours):
        a, b = (np.concatenate([*map(np.ravel, of[kind])], dtype=float) for of in (ours, other))
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        if not error < AGREEMENT:  # NaN is no agreement
            found.append(f"{kind} differ by {error:.1e}")
    return found


def interleave(
    runs: Mapping[Key, Callable[[], object]], rounds: int, clock: Clock
) -> dict[Key, list[float]]:
    """Seconds of each run in each round: all warm up, then take turns.

    Each is warmed up by at least one call, and by as many as take `WARM_UP` seconds of the clock.
    """
    for run in runs.values():
        start = clock()
        run()
        while clock() - start < WARM_UP:
            run()
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            time.sleep(PAUSE)
            start = clock()
            run()
            seconds[key].append(clock() - start)
    return seconds


def concluded(result: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """A result, new or stored, with what follows from its times by the entry as it is now."""
    facts = {(c.name, way.name): way.facts for c in entry.comparisons for way in c.candidates}
    seconds = {}
    for c in result["comparisons"]:
        for way in c["candidates"]:
            key = c["name"], way["name"]
            seconds[key] = way["seconds"]
            way["facts"] |= facts.get(key, dict)()
            way["summary"] = summary(way["seconds"])
    return result | {"targets": [conclude(target, seconds) for target in entry.targets]}


def conclude(target: Target, seconds: Seconds) -> dict[str, Any]:
    """The ratio of the cheapest ways of both sides, round by round; none if a side is missing."""
    result: dict[str, Any] = {"name": target.name, "most": target.most, "ratio": None}
    ours, other = (_cheapest(side, seconds) for side in (target.ours, target.other))
    if ours is None or other is None:
        return result
    ratios = (ours[1] / other[1]).tolist()
    result |= {"ours": ours[0], "other": other[0], "ratios": ratios, "ratio": summary(ratios)}
    met = None if target.most is None else result["ratio"]["median"] <= target.most
    return result | {"met": met}


def _cheapest(side: Sequence[Cost], seconds: Seconds) -> tuple[str, np.ndarray] | None:
    """In words and in seconds of each round; None if no way of the side was timed."""
    totals = {}
    for cost in side:
        if cost.keys() <= seconds.keys():
            words = [f"{'' if n == 1 else f'{n:g} x '}{c}, {way}" for (c, way), n in cost.items()]
            totals[" + ".join(words)] = sum(n * np.array(seconds[key]) for key, n in cost.items())
    return min(totals.items(), key=lambda found: np.median(found[1]), default=None)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}
