"""Turns, their order, and the statistics of ratios taken round by round."""

import pytest

from glocal_exp.bench.interleave import Timing, fastest, interleave


class Machine:
    """A clock that candidates move on, slower or faster in each round."""

    def __init__(self, slowness):
        self.now, self.calls, self.slowness = 0.0, [], iter(slowness)
        self.factor = 1.0

    def candidate(self, name, seconds):
        def call():
            self.calls.append(name)
            self.now += seconds * self.factor

        return call

    def rest(self):
        self.calls.append("rest")
        self.now += 100.0
        if self.calls.count("rest") % 2:  # two candidates to a round
            self.factor = next(self.slowness)


def test_candidates_warm_up_then_take_turns_and_rests_are_not_timed():
    machine = Machine([1.0, 4.0])
    works = {"a": machine.candidate("a", 2.0), "b": machine.candidate("b", 0.5)}
    timings = interleave(works, 2, clock=lambda: machine.now, rest=machine.rest, warm_up=1.2)
    turns = ["rest", "a", "rest", "b"]
    assert machine.calls == ["a", "b", "b", "b", *turns, *turns]
    assert timings == {"a": Timing((2.0, 8.0)), "b": Timing((0.5, 2.0))}


def test_a_slow_spell_of_the_machine_leaves_the_ratios_alone():
    machine = Machine([1.0, 8.0, 2.0, 1.0, 16.0])
    works = {"a": machine.candidate("a", 3.0), "b": machine.candidate("b", 4.0)}
    timings = interleave(works, 5, clock=lambda: machine.now, rest=machine.rest, warm_up=0.0)
    assert timings["a"].over(timings["b"]) == Timing((0.75,) * 5)
    assert max(timings["a"].rounds) == 16 * min(timings["a"].rounds)


def test_the_summary_is_that_of_the_ratios_not_of_the_times():
    a, b = Timing((1.0, 2.0, 9.0)), Timing((2.0, 1.0, 3.0))
    assert a.over(b).summary() == {"min": 0.5, "median": 2.0, "max": 3.0}
    assert a.median / b.median == 1.0


def test_ratios_need_the_same_rounds():
    with pytest.raises(ValueError, match="shorter"):
        Timing((1.0, 2.0)).over(Timing((1.0,)))


def test_the_fastest_has_the_smallest_median_not_the_luckiest_round():
    timings = {"lucky": Timing((0.1, 5.0, 5.0)), "steady": Timing((2.0, 2.0, 2.0))}
    assert fastest(timings) == "steady"
