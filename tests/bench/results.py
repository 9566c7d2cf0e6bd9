"""A small result as `measure` and the command make it, to be printed and drawn."""

import pytest

from benchmarks import machine, measure
from benchmarks.measure import Candidate, Comparison, Entry

CIRCUMSTANCES = {
    "machine": {"processor": "a processor", "cores": 2, "packages": {"jax": "1.2"}},
    "time": "time passed",
    "small": False,
    "doubtful": [],
}


class Clock:
    """Moved on by candidates."""

    now = 0.0

    def __call__(self):
        return self.now

    def way(self, name, seconds, **settings):
        def run():
            self.now += seconds

        return Candidate(name, run, compared=False, **settings)


def entry(clock, *targets, **changes):
    """Two comparisons: ours 2 s and a peer 4 s a run of two steps; ours 3 s."""
    ways = (clock.way("ours", 2.0), clock.way("peer", 4.0, peer="numpy"))
    step = Comparison("step", ways, calls=2)
    gradient = Comparison("gradient", (clock.way("ours", 3.0),), unit="gradient")
    return Entry("A title", (step, gradient), targets, **changes)


def measured(given, clock, rounds=2):
    """Without warming up, on a machine where nobody else is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "WARM_UP", 0.0)
        patch.setattr(measure, "PAUSE", 0.0)
        patch.setattr(machine, "others", lambda before: 0.0)
        return measure.measure(given, rounds, clock)
