"""Turns, times a unit, ratios of the cheapest ways, and what is refused; on clocks of our own."""

import numpy as np
import pytest

from benchmarks import machine, measure
from benchmarks.measure import (
    Candidate,
    Comparison,
    Entry,
    Target,
    conclude,
    costs,
    disagreements,
    interleave,
)
from glocal_exp.errors import UserError
from tests.bench.results import Clock, entry, measured

OUTCOME = {"losses": np.array([2.0, 1.0]), "gradients": [np.array([[3.0, 0.0]]), np.array([4.0])]}
SLOWNESS = (1.0, 8.0, 2.0, 1.0, 16.0)  # of the machine, by round


def test_candidates_warm_up_then_take_turns_and_rests_are_not_timed(monkeypatch):
    monkeypatch.setattr(measure, "WARM_UP", 1.2)
    clock, calls, slowness = Clock(), [], iter(SLOWNESS)

    def candidate(name, seconds):
        def run():
            calls.append(name)
            clock.now += seconds * clock.factor

        return run

    def rest(_):
        calls.append("rest")
        clock.now += 100.0
        if calls.count("rest") % 2:  # two candidates to a round
            clock.factor = next(slowness)

    clock.factor = 1.0
    runs = {"a": candidate("a", 2.0), "b": candidate("b", 0.5)}
    monkeypatch.setattr(measure.time, "sleep", rest)
    seconds = interleave(runs, len(SLOWNESS), clock)
    assert calls == ["a", "b", "b", "b", *["rest", "a", "rest", "b"] * len(SLOWNESS)]
    assert seconds == {"a": [2.0 * s for s in SLOWNESS], "b": [0.5 * s for s in SLOWNESS]}


@pytest.mark.parametrize(
    ("ours", "other", "ratios", "met"),
    [
        (["a"], ["b"], [0.5, 2.0, 3.0], False),  # the median is 2, that of the times' 1
        (["lucky", "quick"], ["c"], [0.25, 4.0, 0.25], True),  # the cheapest by its median
        (["quick"], ["absent"], None, None),
    ],
)
def test_ratios_are_of_the_cheapest_ways_round_by_round(ours, other, ratios, met):
    seconds = {"a": (1.0, 2.0, 9.0), "b": (2.0, 1.0, 3.0), "c": (8.0, 1.0, 8.0)}
    seconds |= {"lucky": (0.1, 9.0, 9.0), "quick": (2.0, 4.0, 2.0)}
    times = {("work", name): values for name, values in seconds.items()}
    found = conclude(Target("", 0.3, costs("work", *ours), costs("work", *other)), times)
    assert found.get("ratios") == ratios
    assert found.get("met") == met
    if ratios:
        assert found["ours"] == f"work, {ours[-1]}"
        assert found["ratio"] == {
            "min": min(ratios),
            "median": np.median(ratios),
            "max": max(ratios),
        }


def test_costs_add_up():
    times = {("work", "step"): (1.0, 2.0), ("work", "gradient"): (3.0, 3.0)}
    interval = {("work", "step"): 4.0, ("work", "gradient"): 2.0}
    found = conclude(Target("a", None, costs("work", "step"), (interval,)), times)
    assert (found["ratios"], found["met"]) == ([1 / 10, 2 / 14], None)
    assert found["other"] == "4 x work, step + 2 x work, gradient"


def test_times_are_those_of_one_unit_and_ratios_reach_across_comparisons():
    clock = Clock()
    target = Target("gradient / step", 2.9, costs("gradient", "ours"), costs("step", "ours"))
    result = measured(entry(clock, target), clock)
    ours, peer = result["comparisons"][0]["candidates"]
    assert (ours["seconds"], peer["seconds"]) == ([1.0, 1.0], [2.0, 2.0])
    (found,) = result["targets"]
    assert found["ratio"] == {"min": 3.0, "median": 3.0, "max": 3.0}
    assert not found["met"]


@pytest.mark.parametrize("rounds", [2, 5])
def test_what_takes_long_takes_fewer_rounds(rounds):
    clock = Clock()
    assert measured(entry(clock, rounds=3), clock, rounds)["rounds"] == min(3, rounds)


def test_a_peer_that_is_not_installed_is_missing_with_the_reason():
    clock = Clock()
    ways = (clock.way("ours", 1.0), clock.way("theirs", 1.0, peer="a_peer_that_nobody_wrote"))
    result = measured(Entry("", (Comparison("a step", ways),)), clock)
    assert [way["name"] for way in result["comparisons"][0]["candidates"]] == ["ours"]
    assert "a_peer_that_nobody_wrote" in result["missing"]["a_peer_that_nobody_wrote"]


def test_different_work_is_not_timed():
    calls = []

    def candidate(name, outcome, **settings):
        return Candidate(name, lambda: calls.append(name) or outcome, **settings)

    other = OUTCOME | {"losses": np.array([2.0, 1.1])}
    silent, first = candidate("silent", None, compared=False), candidate("a", OUTCOME)
    step = Comparison("a step", (silent, first, candidate("c", other)))
    with pytest.raises(UserError, match=r"a step, c: losses differ by"):
        measured(Entry("", (step,)), Clock())
    assert calls == ["a", "c"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gradients": [np.array([3.0, 4e-3]), np.array([4.0])]}, None),  # 8e-4 of the norm 5
        ({"gradients": [np.array([3.0, 0.0]), np.array([4.05])]}, "gradients differ by 1.0e-02"),
        ({"losses": np.array([np.nan, 1.0])}, "losses differ by nan"),
        ({"tangents": np.ones(2)}, "results are gradients, losses, tangents and gradients, losses"),
    ],
)
def test_kinds_of_results_are_compared_as_whole_vectors(changes, sentence):
    assert disagreements(OUTCOME | changes, OUTCOME) == ([] if sentence is None else [sentence])
    assert disagreements({}, {}) != []


def test_others_take_what_the_cores_did_not_do_for_us(monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    # seconds that all ran, that we ran, and that passed
    monkeypatch.setattr(machine, "busy", lambda: np.array([116.0, 20.0, 10.0]))
    assert machine.others(np.array([100.0, 10.0, 0.0])) == (16.0 - 10.0) / (10.0 * 2)
    assert machine.others(None) is None
