"""Times a unit, ratios of the cheapest ways, and what is refused; on a clock of our own."""

import numpy as np
import pytest

from glocal_exp.bench.comparison import Candidate, Comparison, Disagreement, Entry, Target
from glocal_exp.bench.measure import conclude, measure
from tests.bench.results import Clock, entry, one_to_one, timings

PEAK = 12e9  # FLOP/s


def measured(given, clock, rounds=2):
    return measure(given, rounds, clock, peak=lambda clock: PEAK, warm_up=0.0)


def test_times_are_those_of_one_unit_and_speed_is_of_the_peak():
    clock = Clock()
    result = measured(entry(clock), clock)
    ours, peer = result["comparisons"][0]["candidates"]
    assert (ours["seconds"], peer["seconds"]) == ([1.0, 1.0], [2.0, 2.0])
    # 6 GFLOP in 1 s and in 2 s, at 12 GFLOP/s at best
    assert (ours["of_peak"], peer["of_peak"]) == (0.5, 0.25)
    assert "of_peak" not in result["comparisons"][1]["candidates"][0]


def test_ratios_reach_across_comparisons():
    clock = Clock()
    target = one_to_one("gradient / step", 2.9, ("gradient", "ours"), ("step", "ours"))
    (found,) = measured(entry(clock, targets=(target,)), clock)["targets"]
    assert found["ratio"] == {"min": 3.0, "median": 3.0, "max": 3.0}
    assert not found["met"]


def test_of_each_side_the_cheapest_way_counts():
    times = timings(slow=(9.0, 9.0, 9.0), quick=(2.0, 4.0, 2.0), other=(8.0, 1.0, 8.0))
    sides = [
        tuple({("work", name): 1.0} for name in names) for names in (("slow", "quick"), ("other",))
    ]
    found = conclude(Target("a", 0.3, *sides), times)
    assert found["ratios"] == [0.25, 4.0, 0.25]
    assert (found["ours"], found["met"]) == ("work, quick", True)


def test_costs_add_up():
    times = timings(step=(1.0, 2.0), gradient=(3.0, 3.0))
    interval = {("work", "step"): 4.0, ("work", "gradient"): 2.0}
    found = conclude(Target("a", None, ({("work", "step"): 1.0},), (interval,)), times)
    assert found["ratios"] == [1 / 10, 2 / 14]
    assert found["met"] is None
    assert found["other"] == "4 x work, step + 2 x work, gradient"


def test_without_a_peer_there_is_no_ratio():
    target = one_to_one("a", 1.0, ("work", "ours"), ("work", "absent"))
    assert conclude(target, timings(ours=(1.0,)))["ratio"] is None


def test_what_takes_long_takes_fewer_rounds():
    clock = Clock()
    assert measured(entry(clock, rounds=3), clock, rounds=5)["rounds"] == 3
    assert measured(entry(clock, rounds=3), clock, rounds=2)["rounds"] == 2


def test_different_work_is_not_timed():
    calls = []

    def candidate(name, value):
        return Candidate(name, lambda: calls.append(name), lambda: {"h": np.array([value])})

    work = Comparison("h", (candidate("a", 1.0), candidate("b", 1.1)))
    with pytest.raises(Disagreement, match="h, b"):
        measured(Entry("A title", (work,)), Clock())
    assert calls == []
