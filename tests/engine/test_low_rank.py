"""The loop with few tangents for many hyperparameters: forward mode's run, or a refusal."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from glocal_exp.engine import Auto, Forward, Hooks, LowRank, Numerics, Plan, Schedule
from glocal_exp.engine.checkpoint import from_bytes
from glocal_exp.engine.plan import Problem
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Estimate
from glocal_exp.records import Costs
from tests.engine.runs import INTERVAL, METHODS, STEPS, begin, by_seed, close, equal, same, vector
from tests.problems import images, reweighting

TASK = reweighting(hidden=32)  # q = 97
SPLITS = {seed: images(seed) for seed in (0, 1)}
S = STEPS // INTERVAL
PROBES = 4
FORWARD = Forward()
# All that the Gram matrix can tell from rounding, in one size, so that little is compiled.
LOW_RANK = LowRank(tolerance=1e-7, sizes=(32,), probes=PROBES)
ALWAYS = Numerics(segment=3, checkpoint_seconds=-1.0)
KEEP = Hooks(keep=lambda s: True)
# Of 1e-7 of the rows, over three meta steps; DMD of six hypergradients amplifies it most.
LEFT_OUT = 1e-4


class Momentum(Local):
    """Remembers: the mean of this and the last estimate."""

    def estimate(self, measured, moment):
        h = measured.h[-1]
        return Estimate((h + moment.memory.get("last", h)) / 2, memory={"last": h})


def start(method="window_mean", splits=SPLITS[0], mode=LOW_RANK, **settings):
    chosen = METHODS[method] if isinstance(method, str) else method
    return begin(TASK, splits, chosen, mode=mode, **settings)


first_loop = cache(start)


def restored(content):
    """A checkpoint of seed 0's run, or of another seed's."""
    loop = first_loop()
    first = loop.snapshots[0]

    def carry_of(columns):
        return loop.mode.start(loop.work.plan, first.state, first.phi, columns)

    return from_bytes(content, first, carry_of)


def agree(a, b):
    for x, y in zip(a, b, strict=True):
        assert (x.seed, x.step, x.skipped, x.diverged) == (y.seed, y.step, y.skipped, y.diverged)
        close(vector(x.metrics), vector(y.metrics), LEFT_OUT)
        close(vector(x.hyperparameters), vector(y.hyperparameters), LEFT_OUT)
        for name in ("trajectory", "hypergradient"):
            assert (name in x.arrays) == (name in y.arrays)
            if name in x.arrays:
                assert x.arrays[name].shape == y.arrays[name].shape
                close(x.arrays[name], y.arrays[name], LEFT_OUT)


@pytest.mark.parametrize("method", ["local", "window_mean", "glocal", "global", Momentum()])
def test_a_run_is_that_of_forward_mode(method):
    few = list(start(method, hooks=KEEP))
    agree(few, list(start(method, mode=FORWARD, hooks=KEEP)))
    evaluated = len((METHODS[method] if isinstance(method, str) else method).wanted(INTERVAL).steps)
    played = INTERVAL * (S * (S + 1) // 2 if method == "global" else S)
    # Every step twice, without tangents first.
    assert few[-1].costs == Costs(played, played, validation_gradients=S * evaluated)


def test_without_hyperparameter_optimization_there_is_no_first_pass():
    assert list(start("none"))[-1].costs == Costs(plain_steps=STEPS)


def test_records_say_how_much_was_left_out():
    records = list(start(hooks=KEEP))
    assert "low_rank_error" not in records[0].diagnostics
    for record in records[1:]:
        found = record.diagnostics
        assert 1 <= found["low_rank"] <= 32 - PROBES
        assert found["low_rank_tangents"] == 32
        assert 0 <= found["low_rank_error"] < LEFT_OUT
        assert found["low_rank_outside"] == 0
        assert record.arrays["trajectory"].shape == (4, 97)
    assert start().mode.name == "low_rank"


def test_a_coarse_tolerance_shows_in_the_estimated_error():
    exact = list(start(mode=FORWARD, hooks=KEEP))[1].arrays["trajectory"]
    coarse = replace(LOW_RANK, tolerance=0.5, sizes=(PROBES + 1,))
    record = list(start(mode=coarse, hooks=KEEP))[1]
    true = np.linalg.norm(record.arrays["trajectory"] - exact) / np.linalg.norm(exact)
    assert true > 1e-3
    # h_t that are alike, and 4 probes: a factor of 6 below is 1 in 1000, 3 above 1 in 10^6.
    assert true / 6 < record.diagnostics["low_rank_error"] < 3 * true


def test_a_tolerance_of_zero_keeps_all_directions():
    exact = replace(LOW_RANK, tolerance=0)
    records = list(start(mode=exact, hooks=KEEP))
    assert records[1].diagnostics["low_rank_tangents"] == 97
    assert records[1].diagnostics["low_rank_error"] == 0
    forward = list(start(mode=FORWARD, hooks=KEEP))
    # The same tangents, along the columns of an identity.
    a, b = records[1].arrays["trajectory"], forward[1].arrays["trajectory"]
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 * np.abs(b).max())


def test_seeds_side_by_side_are_the_seeds_one_by_one():
    together = list(start(splits=SPLITS, hooks=KEEP))
    for seed, splits in SPLITS.items():
        alone = list(start(splits=splits, seed=seed, hooks=KEEP))
        agree(by_seed(together, seed), alone)


def test_seeds_side_by_side_get_the_columns_of_the_one_that_needs_most():
    fine = replace(LOW_RANK, sizes=tuple(range(5, 40)))
    records = list(start(splits=SPLITS, mode=fine, steps=INTERVAL))
    found = [record.diagnostics for record in records[2:]]
    ranks = [d["low_rank"] for d in found]
    assert ranks[0] != ranks[1]
    assert [d["low_rank_tangents"] for d in found] == [max(ranks) + PROBES] * 2


@pytest.mark.parametrize("name", ["window_mean", "global"])
def test_it_goes_on_bit_by_bit_from_any_checkpoint(name):
    saved = []
    hooks = Hooks(keep=KEEP.keep, checkpoint=lambda seed, content: saved.append(content))
    whole = start(name, numerics=ALWAYS, hooks=hooks)
    records = list(whole)
    inside = [restored(content).carry is not None for content in saved]
    assert sum(inside) >= S
    assert not all(inside)
    for content in saved:
        loop = start(name, numerics=ALWAYS, hooks=KEEP, checkpoints={0: [content]})
        assert loop.resumed
        done = loop.position.outer_step
        assert all(same(a, b) for a, b in zip(loop, records[done:], strict=True))
        assert equal(loop.states, whole.states)
        assert equal(loop.hyperparams, whole.hyperparams)


def test_seeds_with_other_columns_go_on_together_from_where_both_have_none():
    saved = {}
    for seed, size in ((0, 32), (1, 40)):
        saved[seed] = []
        hooks = Hooks(checkpoint=lambda seed, content: saved[seed].append(content))
        mode = replace(LOW_RANK, sizes=(size,))
        settings = {"numerics": ALWAYS, "steps": INTERVAL, "hooks": hooks}
        list(start(splits=SPLITS[seed], seed=seed, mode=mode, **settings))
    newest = [restored(saved[seed][-2]) for seed in (0, 1)]
    assert newest[0].position == newest[1].position
    assert [s.carry.basis.columns for s in newest] == [32, 40]
    checkpoints = {seed: found[-2::-1] for seed, found in saved.items()}
    loop = start(splits=SPLITS, numerics=ALWAYS, steps=INTERVAL, checkpoints=checkpoints)
    assert loop.resumed
    assert [s.carry for s in loop.snapshots.values()] == [None, None]
    assert len(list(loop)) == 2


def test_a_checkpoint_along_a_basis_is_refused_without_one():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    list(start(numerics=ALWAYS, steps=INTERVAL, hooks=hooks))
    with pytest.raises(UserError, match="of another run"):
        from_bytes(saved[1 + 2], start(mode=FORWARD).snapshots[0])


def test_nothing_is_compiled_again_while_the_rank_stays_within_a_size():
    short = start(share=False, steps=INTERVAL)
    list(short)
    # Training, the first pass, rows, a meta step, and an evaluation: there is no test part.
    assert short.work.programs.traces == 5
    long = start(share=False, steps=5 * INTERVAL)
    long.work.programs._compiled = dict(short.work.programs._compiled)
    ranks = {record.diagnostics["low_rank"] for record in list(long)[1:]}
    assert len(ranks) > 1
    assert long.work.programs.traces == 0


def test_what_has_no_basis_is_refused():
    with pytest.raises(UserError, match="these tangents are kept; choose"):
        start(carry_tangents=True)
    with pytest.raises(UserError, match=r"needs a task that knows its tangent rows.*; choose"):
        begin(mode=LOW_RANK)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance": 1.0}, "tolerance=1.0 is not a share"),
        ({"tolerance": -0.1}, "tolerance=-0.1 is not a share"),
        ({"probes": 0}, "probes=0 is not at least 1"),
        ({"probes": 12}, "no room beside probes=12"),
        ({"chunk": 0}, "chunk=0 is not at least 1"),
    ],
)
def test_wrong_settings_end_in_a_sentence(settings, message):
    with pytest.raises(UserError, match=f"hypergradient.*{message}"):
        LowRank(**settings)


@pytest.mark.parametrize(
    ("method", "q", "row_space", "carry", "mode"),
    [
        ("local", 385, True, False, "reverse"),
        ("glocal", 385, True, False, "low_rank"),
        ("global", 385, True, False, "reverse"),
        ("glocal", 385, False, False, "forward"),
        ("glocal", 385, True, True, "forward"),
        ("glocal", Auto().low_rank_from["cpu"] - 1, True, False, "forward"),
    ],
)
def test_auto_chooses_what_the_method_and_the_task_can_have(method, q, row_space, carry, mode):
    plan = Plan(Schedule(STEPS, INTERVAL, 8), METHODS[method], Auto(), carry_tangents=carry)
    assert plan.mode.resolve(plan, Problem(q, row_space)).name == mode


def test_auto_sees_the_row_space_of_a_task():
    modes = [start(name, mode=Auto()).mode.name for name in ("local", "window_mean")]
    assert modes == ["reverse", "low_rank"]
    assert begin(method=METHODS["window_mean"], mode=Auto()).mode == Forward()
