"""Entries at small sizes: they compute what they compare, and aim at what they time."""

import time
from collections import Counter
from functools import cache

import pytest

from benchmarks.command import NAMES, build
from benchmarks.measure import check
from benchmarks.work import CHOICES
from tests.bench.results import measured

pytestmark = pytest.mark.slow


@cache
def small(name):
    return build(name, small=True)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique_and_targets_name_what_is_timed(name):
    entry = small(name)
    timed = {(c.name, way.name) for c in entry.comparisons for way in c.candidates}
    assert len({c.name for c in entry.comparisons}) == len(entry.comparisons)
    for target in entry.targets:
        assert any(cost and set(cost) <= timed for cost in target.ours), target.name
        assert all(set(cost) <= timed for cost in target.other), target.name


def test_parts_and_axes_are_all_there():
    named = " ".join(c.name for c in small("parts").comparisons)
    tangents = [f"tangent step, q = {q}" for q in CHOICES]
    assert all(word in named for word in ("plain step", *tangents, "validation", "DMD", "host"))
    points = {c.point for c in small("scaling").comparisons}
    counted = Counter(axis.split()[0] for axis, _ in points)
    assert set(counted) == {"tau", "q", "p", "validation", "T"}
    assert min(counted.values()) >= 2


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_one_hypergradient_can_be_measured_in_seconds():
    result = measured(small("one_hypergradient"), time.perf_counter, rounds=1)
    ways = [way for c in result["comparisons"] for way in c["candidates"]]
    assert {"reverse", "forward", "Python loop"} <= {way["name"] for way in ways}
    assert all(way["seconds"][0] > 0 for way in ways)
    assert result["targets"][1]["ratio"]["median"] > 0


def test_both_modes_agree_where_p_is_varied():
    (first, *_) = (c for c in small("scaling").comparisons if c.point[0].startswith("p "))
    check(first)
    assert [way.name for way in first.candidates] == ["plain training", "forward", "reverse"]
