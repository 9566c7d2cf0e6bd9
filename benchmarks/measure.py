"""From an entry to its result: check that the work is the same, time it in turns, conclude.

Absolute times drift with clock speed and with what else runs; the ratio of two neighbours in one
round drifts much less. So all candidates of all comparisons take turns, and a ratio is one number
for each round, with their median and range.
"""

import importlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.comparison import Cost, Entry, Target, check

PAUSE = 0.05  # seconds of rest, in which the waiting threads of the last candidate fall asleep
WARM_UP = 1.0  # seconds, long enough for memory and threads to settle

Clock = Callable[[], float]
Key = tuple[str, str]  # comparison and candidate
Seconds = Mapping[Key, Sequence[float]]  # of each round


def measure(entry: Entry, rounds: int, clock: Clock) -> dict[str, Any]:
    """The result of one entry, as it is written to JSON (seconds a unit), if all do the same.

    Peers whose packages are not installed are left out.
    """
    missing = absent({way.peer for c in entry.comparisons for way in c.candidates if way.peer})
    comparisons = [
        replace(c, candidates=[way for way in c.candidates if way.peer not in missing])
        for c in entry.comparisons
    ]
    for comparison in comparisons:
        check(comparison)
    peak, before = machine.matmul_peak(clock), machine.busy()
    runs = {(c.name, way.name): way.run for c in comparisons for way in c.candidates}
    rounds = min(rounds, entry.rounds or rounds)
    seconds = interleave(runs, rounds, clock)
    result: dict[str, Any] = {"title": entry.title, "rounds": rounds, "peak_flops": peak}
    result |= {"others": machine.others(before), "comparisons": []}
    for c in comparisons:
        row = {"name": c.name, "unit": c.unit, "flops": c.flops, "point": c.point}
        row["candidates"] = [
            {"name": way.name, "ours": not way.peer, "facts": {}}
            | {"seconds": [s / c.calls for s in seconds[c.name, way.name]]}
            for way in c.candidates
        ]
        result["comparisons"].append(row)
    return concluded(result | {"notes": entry.notes, "missing": missing}, entry)


def absent(packages: Iterable[str]) -> dict[str, str]:
    """Of these packages those that cannot be imported, and why."""
    found = {}
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            found[package] = f"{error}; `make bench` installs what it times beside"
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
            if c["flops"] is not None:
                way["of_peak"] = c["flops"] / way["summary"]["median"] / result["peak_flops"]
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
            spent = [n * np.array(seconds[key]) for key, n in cost.items()]
            totals[" + ".join(words)] = np.sum(spent, axis=0)
    return min(totals.items(), key=lambda found: np.median(found[1]), default=None)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum."""
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}
