"""A small result as `measure` and the command make it, to be printed and drawn."""

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Target
from glocal_exp.bench.interleave import Timing

CIRCUMSTANCES = {
    "machine": {"processor": "a processor", "cores": 2, "packages": {"jax": "1.2"}},
    "time": "time passed",
    "small": False,
    "load_before": 0.1,
    "doubtful": [],
}


class Clock:
    """Moved on by candidates."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def takes(self, seconds):
        def run():
            self.now += seconds

        return run


def entry(clock, *, targets=(), **changes):
    """Two comparisons: ours 2 s and a peer 4 s a run of two steps; ours 3 s."""
    step = Comparison(
        "step",
        (Candidate("ours", clock.takes(2.0)), Candidate("peer", clock.takes(4.0), ours=False)),
        calls=2,
        flops=6 * 10**9,
    )
    gradient = Comparison("gradient", (Candidate("ours", clock.takes(3.0)),), unit="gradient")
    return Entry("A title", (step, gradient), targets, **changes)


def one_to_one(name, most, ours, other):
    return Target(name, most, ({ours: 1.0},), ({other: 1.0},))


def timings(**seconds):
    """`ours=(1, 2)` is the candidate `ours` of the comparison `work`."""
    return {("work", name): Timing(values) for name, values in seconds.items()}
