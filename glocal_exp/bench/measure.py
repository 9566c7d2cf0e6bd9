"""From an entry to its result: check that the work is the same, time it in turns, conclude."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from glocal_exp.bench import machine
from glocal_exp.bench.comparison import Comparison, Cost, Entry, Target, check
from glocal_exp.bench.interleave import WARM_UP, Timing, interleave

Timings = Mapping[tuple[str, str], Timing]
"""Seconds a unit, by comparison and candidate."""


def measure(
    entry: Entry,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    peak: Callable[[Callable[[], float]], float] | None = None,
    warm_up: float = WARM_UP,
) -> dict[str, Any]:
    """The result of one entry, as it is written to JSON; times are seconds a unit.

    All candidates of all comparisons take turns, so that ratios across comparisons are taken round
    by round too.

    Args:
        peak: measures the machine's matrix products by the clock, FLOP/s; `machine.matmul_peak`
            by default.
        warm_up: seconds that every candidate runs untimed.

    Raises:
        Disagreement: when two candidates do not do the same work.
    """
    for comparison in entry.comparisons:
        check(comparison)
    flops_per_second = (peak or machine.matmul_peak)(clock)
    others = machine.Others()
    runs = {(c.name, way.name): way.run for c in entry.comparisons for way in c.candidates}
    used = min(rounds, entry.rounds or rounds)
    whole = interleave(runs, used, clock, warm_up=warm_up)
    busy = others.share()
    calls = {c.name: c.calls for c in entry.comparisons}
    timings = {
        key: Timing(tuple(seconds / calls[key[0]] for seconds in timing.rounds))
        for key, timing in whole.items()
    }
    return {
        "title": entry.title,
        "rounds": used,
        "peak_flops": flops_per_second,
        "others": busy,
        "comparisons": [_comparison(c, timings, flops_per_second) for c in entry.comparisons],
        "targets": [conclude(target, timings) for target in entry.targets],
        "notes": list(entry.notes),
        "missing": dict(entry.missing),
    }


def concluded(stored: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """A stored result with the targets and facts that the entry has now; times stay as they are."""
    timings = {
        (c["name"], way["name"]): Timing(tuple(way["seconds"]))
        for c in stored["comparisons"]
        for way in c["candidates"]
    }
    known = {(c.name, way.name): way.facts for c in entry.comparisons for way in c.candidates}
    comparisons = [
        c
        | {
            "candidates": [
                way | {"facts": way["facts"] | known.get((c["name"], way["name"]), dict)()}
                for way in c["candidates"]
            ]
        }
        for c in stored["comparisons"]
    ]
    targets = [conclude(target, timings) for target in entry.targets]
    return {**stored, "comparisons": comparisons, "targets": targets}


def conclude(target: Target, timings: Timings) -> dict[str, Any]:
    """The ratio of the cheapest ways of both sides, round by round; none if a side is missing."""
    sides = [
        [cost for cost in side if cost and all(key in timings for key in cost)]
        for side in (target.ours, target.other)
    ]
    result: dict[str, Any] = {"name": target.name, "most": target.most, "ratio": None}
    if not all(sides):
        return result
    ours, other = (min(side, key=lambda cost: total(cost, timings).median) for side in sides)
    ratio = total(ours, timings).over(total(other, timings))
    met = None if target.most is None else ratio.median <= target.most
    return result | {
        "ours": _words(ours),
        "other": _words(other),
        "ratios": list(ratio.rounds),
        "ratio": ratio.summary(),
        "met": met,
    }


def total(cost: Cost, timings: Timings) -> Timing:
    """The cost's seconds in each round."""
    parts = [[count * s for s in timings[key].rounds] for key, count in cost.items()]
    return Timing(tuple(map(sum, zip(*parts, strict=True))))


def _comparison(comparison: Comparison, timings: Timings, peak: float) -> dict[str, Any]:
    rows = []
    for way in comparison.candidates:
        timing = timings[comparison.name, way.name]
        row = {"name": way.name, "ours": way.ours, "facts": dict(way.facts())}
        row |= {"seconds": list(timing.rounds), "summary": timing.summary()}
        if comparison.flops is not None:
            row["of_peak"] = comparison.flops / timing.median / peak
        rows.append(row)
    return {
        "name": comparison.name,
        "unit": comparison.unit,
        "flops": comparison.flops,
        "point": list(comparison.point) if comparison.point else None,
        "candidates": rows,
    }


def _words(cost: Cost) -> str:
    parts = [f"{'' if n == 1 else f'{n:g} x '}{work}, {way}" for (work, way), n in cost.items()]
    return " + ".join(parts)
