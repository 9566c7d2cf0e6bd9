"""A run goes on from any checkpoint as if it had never stopped, bit by bit."""

import json
import os
from dataclasses import replace
from functools import cache

import pytest

from glocal_exp.engine import Hooks, Loop, Numerics
from glocal_exp.engine.checkpoint import Position, from_bytes, to_bytes
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Estimate
from tests.engine.runs import (
    INTERVAL,
    METHODS,
    SGD,
    SPLITS,
    STEPS,
    begin,
    close,
    equal,
    same,
    vector,
)
from tests.problems import Network, Noisy

S = STEPS // INTERVAL
# Between any two segments, so that none of the places where a run may stop is left out.
ALWAYS = Numerics(segment=3, checkpoint_seconds=-1.0)
PROBLEMS = {"none": Noisy("sgd")}  # the others' programs are compiled by other tests
CARRIED = {"local": False, "global": True}


def keep(outer_step: int) -> bool:
    return outer_step != 2


def start(name: str, checkpoints=None, numerics=ALWAYS, **hooks) -> Loop:
    return begin(
        PROBLEMS.get(name, SGD),
        method=METHODS[name],
        numerics=numerics,
        carry_tangents=CARRIED.get(name, False),
        hooks=Hooks(keep=keep, **hooks),
        checkpoints=checkpoints,
    )


@pytest.fixture(params=list(METHODS), scope="module")
def recorded(request):
    """A method with the records and all the checkpoints of its whole run."""
    saved = []
    loop = start(request.param, checkpoint=lambda seed, content: saved.append(content))
    return request.param, list(loop), saved, loop


@cache
def template(name):
    return start(name).snapshots[0]


def test_a_run_may_be_stopped_between_any_two_segments(recorded):
    name, _, saved, _ = recorded
    positions = [from_bytes(content, template(name)).position for content in saved]
    assert positions == sorted(set(positions))
    lengths = {"global": [3, 2, 1], "non_greedy": [3, 3, 3]}.get(name, [1, 1, 1])
    inside = [
        Position(s, i, step)
        for s, length in enumerate(lengths, start=1)
        for i in range(length)
        for step in (0, 3)
    ]
    assert positions == [*inside, Position(S + 1)]


def test_bytes_hold_everything(recorded):
    name, _, saved, _ = recorded
    for content in saved:
        snapshot = from_bytes(content, template(name))
        assert to_bytes(snapshot, seed=0) == content
        if name == "global":
            assert int(snapshot.state.step) == steps_done(snapshot.position)
            assert (snapshot.kept is not None) == (snapshot.position.interval > 0)
        if snapshot.kept is not None:
            assert int(snapshot.kept[0].step) == snapshot.position.outer_step * INTERVAL


def steps_done(place: Position) -> int:
    return (place.outer_step - 1 + place.interval) * INTERVAL + place.step


def test_it_goes_on_bit_by_bit_from_any_checkpoint(recorded):
    name, records, saved, whole = recorded
    for content in saved:
        loop = start(name, checkpoints={0: [content]})
        assert loop.resumed
        done = loop.position.outer_step
        rest = list(loop)
        assert len(rest) == S + 1 - done
        assert all(same(a, b) for a, b in zip(rest, records[done:], strict=True))
        assert equal(loop.states, whole.states)
        assert equal(loop.hyperparams, whole.hyperparams)


@pytest.mark.parametrize("name", ["none", "glocal", "global"])
def test_a_run_stopped_by_its_hook_can_be_saved_and_goes_on(name):
    class Stop(Exception):
        pass

    calls, records = [], []
    whole = list(start(name, progress=lambda done, total: calls.append((done, total))))
    assert calls[-1][0] == calls[-1][1] == INTERVAL
    for stop in range(len(calls)):
        seen, saved, got = [], [], []

        def progress(done, total, stop=stop, seen=seen):
            seen.append((done, total))
            if len(seen) == stop + 1:
                raise Stop

        loop = start(name, progress=progress, checkpoint=lambda seed, c, to=saved: to.append(c))
        with pytest.raises(Stop):
            got.extend(iter(loop))
        with pytest.raises(StopIteration):
            next(loop)
        assert seen == calls[: stop + 1]
        before = len(saved)
        loop.checkpoint()
        assert len(saved) == before + 1
        records = [*whole[: loop.position.outer_step], *start(name, checkpoints={0: saved[-1:]})]
        assert len(records) == len(whole)
        assert all(same(a, b) for a, b in zip(records, whole, strict=True))


def test_a_batch_goes_on_from_the_newest_place_that_all_its_seeds_have():
    saved = {0: [], 1: []}
    hooks = Hooks(checkpoint=lambda seed, content: saved[seed].append(content))
    whole = list(begin(splits=SPLITS, numerics=ALWAYS, hooks=hooks))
    assert len(saved[0]) == len(saved[1]) == 2 * S + 1
    # Killed after seed 0 had been saved and before seed 1 was; newest first.
    checkpoints = {0: saved[0][4:1:-1], 1: saved[1][3:1:-1]}
    loop = begin(splits=SPLITS, numerics=ALWAYS, checkpoints=checkpoints)
    assert loop.position == Position(2, 0, 3)
    rest = list(loop)
    assert [record.seed for record in rest] == [0, 1] * (S - 1)
    assert all(same(a, b) for a, b in zip(rest, whole[4:], strict=True))


def test_a_batch_without_a_common_place_begins_again():
    saved = {0: [], 1: []}
    hooks = Hooks(checkpoint=lambda seed, content: saved[seed].append(content))
    whole = list(begin(splits=SPLITS, numerics=ALWAYS, hooks=hooks))
    for checkpoints in ({0: saved[0][1:2], 1: saved[1][2:3]}, {0: saved[0]}):
        loop = begin(splits=SPLITS, numerics=ALWAYS, checkpoints=checkpoints)
        assert not loop.resumed
        assert loop.position == Position()
    assert same(next(loop), whole[0])


def test_inside_an_interval_checkpoints_are_no_closer_than_told():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    list(begin(method=METHODS["global"], hooks=hooks))
    assert len(saved) == 1 + S  # 30 seconds: at the start, and where an outer step ends


@pytest.mark.parametrize("bits", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["local", "global"])
@pytest.mark.parametrize("segment", [1, 2, 4, 100])
def test_segments_may_have_another_length_when_a_run_goes_on(name, segment, bits):
    """What is saved is a number of steps, wherever the segments of the next program end.

    Other lengths are other programs; compiled as for users they round alike.
    """
    if bits and os.environ["XLA_FLAGS"]:
        pytest.skip("compiled with flags; `make test-slow` sets none")
    saved = []
    whole = list(start(name, checkpoint=lambda seed, content: saved.append(content)))
    inside = [c for c in saved if from_bytes(c, template(name)).position.step == 3]
    assert len(inside) >= S
    for content in inside:
        loop = start(name, checkpoints={0: [content]}, numerics=Numerics(segment=segment))
        done = loop.position.outer_step
        for a, b in zip(loop, whole[done:], strict=True):
            if bits:
                assert same(a, b)
            assert (a.seed, a.step, a.costs, a.skipped) == (b.seed, b.step, b.costs, b.skipped)
            for part in ("metrics", "hyperparameters", "hypergradient"):
                close(vector(getattr(a, part)), vector(getattr(b, part)), 1e-10)


def mismatched() -> dict[str, Loop]:
    """Runs that a checkpoint of `local` with SGD and the default network is not of."""
    return {
        "another rule": begin(Network("adam")),
        "another size": begin(Network("sgd", width=4)),
        "without tangents": begin(method=METHODS["none"]),
    }


@pytest.mark.parametrize("other", ["another rule", "another size", "without tangents"])
def test_a_checkpoint_of_another_run_is_refused(other):
    content = to_bytes(begin().snapshots[0])
    snapshot = mismatched()[other].snapshots[0]
    with pytest.raises(UserError, match="damaged, or of another run or version; delete"):
        from_bytes(content, snapshot)
    with pytest.raises(UserError, match="of another run"):
        from_bytes(to_bytes(snapshot, seed=0), begin().snapshots[0])


def flipped(content: bytes) -> bytes:
    """One bit of the last number."""
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGES = [
    *(lambda c: b"", lambda c: b"text"),
    *(lambda c: c[:600], lambda c: c[:-40], lambda c: c * 2, flipped),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(damage):
    snapshot = begin().snapshots[0]
    content = damage(to_bytes(snapshot, seed=0))
    with pytest.raises(UserError, match="damaged"):
        from_bytes(content, snapshot)


def test_a_checkpoint_in_another_format_is_refused():
    snapshot = begin().snapshots[0]
    header, _, body = to_bytes(snapshot, seed=0).partition(b"\n")
    other = json.dumps(json.loads(header) | {"format": 0}).encode()
    with pytest.raises(UserError, match="or version"):
        from_bytes(other + b"\n" + body, snapshot)


class Momentum(Local):
    """Remembers: the mean of this and the last estimate."""

    def estimate(self, measured, moment):
        h = measured.h[-1]
        return Estimate((h + moment.memory.get("last", h)) / 2, memory={"last": h})


def test_what_a_method_remembers_is_saved():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    whole = list(begin(method=Momentum(), hooks=hooks))
    rest = list(begin(method=Momentum(), checkpoints={0: [saved[2]]}))
    assert same(rest[0], whole[3])
    forgetful = replace(from_bytes(saved[1], begin().snapshots[0]), memory={})
    rest = list(begin(method=Momentum(), checkpoints={0: [to_bytes(forgetful, seed=0)]}))
    assert rest[0].hypergradient != whole[3].hypergradient
