"""From an entry to its result: check that the work is the same, time it in turns, conclude.

Absolute times drift with clock speed and with what else runs; the ratio of two neighbours in one
round drifts much less. So all candidates of all comparisons take turns, and a ratio is one number
for each round, with their median and range.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.comparison import Comparison, Cost, Entry, Target, check

PAUSE = 0.05
"""Seconds of rest between candidates, in which the waiting threads of the last one fall asleep."""
WARM_UP = 1.0
"""Seconds that every candidate runs untimed: long enough for memory and threads to settle."""

Clock = Callable[[], float]
Key = tuple[str, str]
"""Comparison and candidate."""


def measure(entry: Entry, rounds: int, clock: Clock, warm_up: float = WARM_UP) -> dict[str, Any]:
    """The result of one entry, as it is written to JSON; times are seconds a unit.

    Raises:
        Disagreement: when two candidates do not do the same work.
    """
    for comparison in entry.comparisons:
        check(comparison)
    peak, others = machine.matmul_peak(clock), machine.Others()
    runs = {(c.name, way.name): way.run for c in entry.comparisons for way in c.candidates}
    rounds = min(rounds, entry.rounds or rounds)
    seconds = interleave(runs, rounds, clock, warm_up=warm_up)
    result = {"title": entry.title, "rounds": rounds, "peak_flops": peak, "others": others.share()}
    result["comparisons"] = [_times(comparison, seconds) for comparison in entry.comparisons]
    result |= {"targets": [], "notes": entry.notes, "missing": entry.missing}
    return concluded(result, entry)


def interleave(
    runs: Mapping[Key, Callable[[], object]],
    rounds: int,
    clock: Clock,
    rest: Callable[[], None] = lambda: time.sleep(PAUSE),
    warm_up: float = WARM_UP,
) -> dict[Key, list[float]]:
    """Seconds of each run in each round: all warm up, then take turns.

    Each is warmed up by at least one call, and by as many as take `warm_up` seconds of the clock.
    `rest` is called before each timed call, untimed.
    """
    for run in runs.values():
        start = clock()
        run()
        while clock() - start < warm_up:
            run()
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for key, run in runs.items():
            rest()
            start = clock()
            run()
            seconds[key].append(clock() - start)
    return seconds


def concluded(result: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """A result, new or stored, with what follows from its times by the entry as it is now."""
    facts = {(c.name, way.name): way.facts for c in entry.comparisons for way in c.candidates}
    seconds: dict[Key, Sequence[float]] = {}
    for c in result["comparisons"]:
        for way in c["candidates"]:
            key = c["name"], way["name"]
            seconds[key] = way["seconds"]
            way["facts"] |= facts.get(key, dict)()
            way["summary"] = summary(way["seconds"])
            if c["flops"] is not None:
                way["of_peak"] = c["flops"] / way["summary"]["median"] / result["peak_flops"]
    return result | {"targets": [conclude(target, seconds) for target in entry.targets]}


def conclude(target: Target, seconds: Mapping[Key, Sequence[float]]) -> dict[str, Any]:
    """The ratio of the cheapest ways of both sides, round by round; none if a side is missing."""
    result: dict[str, Any] = {"name": target.name, "most": target.most, "ratio": None}
    sides = []
    for side in (target.ours, target.other):
        known = [cost for cost in side if cost and all(key in seconds for key in cost)]
        totals = {
            _words(cost): sum(n * np.array(seconds[key]) for key, n in cost.items())
            for cost in known
        }
        if not totals:
            return result
        sides.append(min(totals.items(), key=lambda found: np.median(found[1])))
    (ours, numerator), (other, denominator) = sides
    ratios = (numerator / denominator).tolist()
    result |= {"ours": ours, "other": other, "ratios": ratios, "ratio": summary(ratios)}
    met = None if target.most is None else result["ratio"]["median"] <= target.most
    return result | {"met": met}


def _times(comparison: Comparison, seconds: Mapping[Key, Sequence[float]]) -> dict[str, Any]:
    ways = []
    for way in comparison.candidates:
        units = [s / comparison.calls for s in seconds[comparison.name, way.name]]
        ways.append({"name": way.name, "ours": way.ours, "facts": {}, "seconds": units})
    row = {name: getattr(comparison, name) for name in ("name", "unit", "flops", "point")}
    return row | {"candidates": ways}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}


def _words(cost: Cost) -> str:
    parts = [f"{'' if n == 1 else f'{n:g} x '}{work}, {way}" for (work, way), n in cost.items()]
    return " + ".join(parts)
