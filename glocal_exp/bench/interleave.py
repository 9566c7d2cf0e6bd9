"""Timing in turns, so that what slows the machine slows all candidates alike.

Absolute times drift with clock speed and with what else runs; the ratio of two neighbours in one
round drifts much less. So a comparison is one ratio for each round, with their median and range.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PAUSE = 0.05
"""Seconds of rest between candidates, in which the waiting threads of the last one fall asleep."""
WARM_UP = 1.0
"""Seconds that every candidate runs untimed: long enough for memory and threads to settle."""


@dataclass(frozen=True)
class Timing:
    """Seconds a call of one candidate, one number for each round; or ratios of two candidates."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.rounds)

    def over(self, other: "Timing") -> "Timing":
        """Ratios to another candidate, round by round."""
        return Timing(tuple(a / b for a, b in zip(self.rounds, other.rounds, strict=True)))

    def summary(self) -> dict[str, float]:
        """Minimum, median and maximum."""
        return {"min": min(self.rounds), "median": self.median, "max": max(self.rounds)}


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[], None] = lambda: time.sleep(PAUSE),
    warm_up: float = WARM_UP,
) -> dict[str, Timing]:
    """Call every candidate to warm up, then all in turn, `rounds` times.

    A candidate returns when its work is done. It is warmed up by at least one call, and by as many
    as take `warm_up` seconds of the clock. `rest` is called before each timed call, untimed.
    """
    for candidate in candidates.values():
        start = clock()
        candidate()
        while clock() - start < warm_up:
            candidate()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            rest()
            start = clock()
            candidate()
            seconds[name].append(clock() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def fastest(timings: Mapping[str, Timing]) -> str:
    """The candidate with the smallest median."""
    return min(timings, key=lambda name: timings[name].median)
