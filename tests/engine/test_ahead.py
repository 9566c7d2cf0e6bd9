"""Playouts swept back through, some intervals ahead, with hyperparameters that stay or fall."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Hooks, Numerics, Reverse
from glocal_exp.errors import UserError
from glocal_exp.methods.ahead import Ahead
from glocal_exp.methods.discounted import Discounted
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.local import Local
from glocal_exp.records import Costs
from tests.engine.runs import (
    INTERVAL,
    SGD,
    SPLITS,
    STEPS,
    batches,
    begin,
    by_seed,
    close,
    equal,
    same,
    vector,
)
from tests.problems import KEY, Network

S = STEPS // INTERVAL
ROUNDING = 1e-9
PLAN = Ahead(None, "plan", 0.5, 0.1, ["learning_rate"])
NOTHING = Numerics(segment=3, playout_gib=0)
ALWAYS = Numerics(segment=3, checkpoint_seconds=-1.0)


def ahead(lookahead):
    return Ahead(lookahead, "held", 0.5, 0.1, ["learning_rate"])


def agree(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert (x.seed, x.step, x.skipped) == (y.seed, y.step, y.skipped)
        for name in ("metrics", "hyperparameters", "hypergradient"):
            close(vector(getattr(x, name)), vector(getattr(y, name)), ROUNDING)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("method", [Global(), Global(greedy=False), ahead(1), PLAN])
def test_a_playout_swept_back_through_is_forward_modes(rule, method):
    forward = list(begin(Network(rule), method=method))
    backward = list(begin(Network(rule), method=method, mode=Reverse()))
    agree(backward, forward)
    steps = forward[-1].costs.tangent_steps
    gradients = forward[-1].costs.validation_gradients
    assert backward[-1].costs == Costs(reverse_steps=steps, validation_gradients=gradients)


@pytest.mark.parametrize("method", [Global(), PLAN])
def test_without_memory_intervals_are_trained_again_to_the_same_bits(method):
    kept = list(begin(method=method, mode=Reverse()))
    again = list(begin(method=method, mode=Reverse(), numerics=NOTHING))
    length = kept[-1].costs.reverse_steps
    assert again[-1].costs == replace(kept[-1].costs, plain_steps=length)
    assert all(same(replace(a, costs=b.costs), b) for a, b in zip(again, kept, strict=True))


def test_seeds_side_by_side_are_the_seeds_one_by_one():
    together = list(begin(splits=SPLITS, method=Global(), mode=Reverse()))
    for seed, splits in SPLITS.items():
        alone = list(begin(splits=splits, seed=seed, method=Global(), mode=Reverse()))
        agree(by_seed(together, seed), alone)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_what_is_kept_of_a_playout_are_its_states_and_not_the_examples(seeds):
    held = []

    def look(done, total):
        held.extend(jax.tree.leaves([s.carry.tape.parts for s in loop.snapshots.values()]))

    splits = {seed: SPLITS[seed] for seed in seeds}
    loop = begin(splits=splits, method=Global(), mode=Reverse(), hooks=Hooks(progress=look))
    list(loop)
    examples = {leaf.shape for leaf in jax.tree.leaves(SPLITS[0].train)}
    assert held
    assert not {leaf.shape for leaf in held} & examples


def test_programs_of_another_method_are_not_taken_for_its_own():
    local = begin(method=Local(), carry_tangents=True, share=False)
    list(local)
    settings = {"method": Discounted(mu=0.5), "carry_tangents": True, "share": False}
    alone = list(begin(**settings))
    after = list(begin(**settings, programs=local.work.programs))
    assert all(same(a, b) for a, b in zip(alone, after, strict=True))


@pytest.mark.parametrize("method", [Global(), Global(greedy=False), PLAN])
def test_a_sweep_goes_on_bit_by_bit_from_wherever_it_was_stopped(method):
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    loop = begin(method=method, mode=Reverse(), numerics=ALWAYS, hooks=hooks)
    whole = list(loop)
    inside = 0
    for content in saved:
        resumed = begin(method=method, mode=Reverse(), numerics=ALWAYS, checkpoints={0: [content]})
        done = resumed.position.outer_step
        inside += resumed.position.interval > 1 + resumed.work.plan.lookahead(done)
        rest = [replace(record, costs=whole[-1].costs) for record in resumed]
        expected = [replace(record, costs=whole[-1].costs) for record in whole[done:]]
        assert len(rest) == len(expected)
        assert all(same(a, b) for a, b in zip(rest, expected, strict=True))
        assert equal(resumed.states, loop.states)
    assert inside >= (S - 1) * S // 2  # some of them within sweeps


def test_lookahead_goes_from_local_to_global():
    for method, other in ((ahead(0), Local()), (ahead(None), Global()), (ahead(9), Global())):
        runs = [list(begin(method=m)) for m in (method, other)]
        assert all(same(a, b) for a, b in zip(*runs, strict=True))
    assert [ahead(2).intervals_ahead(s, 6) for s in (1, 4, 5, 6)] == [2, 2, 1, 0]
    steps = list(begin(method=ahead(1)))[-1].costs.tangent_steps
    assert steps == (2 * S - 1) * INTERVAL


def test_a_plan_lowers_the_rates_to_come_and_differentiates_along_them():
    """The oracle: central differences of the loss after a training with rates that fall."""
    loop = begin(method=PLAN)
    next(loop)
    record = next(loop)
    state, phi = SGD.init(jax.random.key(0))
    flat, unravel = ravel_pytree(phi)

    @jax.jit
    def final(flat):
        at = state
        for k in range(S):
            moved = dict(unravel(flat))
            moved["learning_rate"] = moved["learning_rate"] - 0.5 * 0.1 * k
            for t in range(INTERVAL):
                here = batches(SPLITS[0], k * INTERVAL + t, 1)
                batch = jax.tree.map(lambda leaf: leaf[0], here)
                at, _ = SGD.step(at, moved, batch, KEY)
        return SGD.meta_loss(at, moved, SPLITS[0].validation)

    eye = np.eye(len(flat)) * 1e-5
    slopes = [(final(flat + e) - final(flat - e)) / 2e-5 for e in eye]
    close(vector(record.hypergradient), np.array(slopes), 1e-6)
    held = next(iter(list(begin(method=Global()))[1:]))
    assert abs(vector(held.hypergradient) / vector(record.hypergradient) - 1).max() > 1e-3
    assert record.hyperparameters == held.hyperparameters  # what becomes real is as it is


def test_what_cannot_be_looked_ahead_is_refused():
    for field in ({"lookahead": -1}, {"fall": -1.0}, {"meta_rate": float("nan")}):
        with pytest.raises(UserError, match=f"method.{next(iter(field))}="):
            replace(PLAN, **field)
    with pytest.raises(UserError, match="playout_gib"):
        Numerics(playout_gib=-1)
