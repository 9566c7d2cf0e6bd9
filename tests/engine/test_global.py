"""Playing training out: the hypergradient at its end, and what is kept of the playout."""

from itertools import pairwise

import jax
import pytest

from glocal_exp.engine import Hooks
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.local import Local
from glocal_exp.records import Costs
from tests.engine.runs import (
    INTERVAL,
    SGD,
    SPLITS,
    STEPS,
    begin,
    close,
    equal,
    same,
    train,
    vector,
)

S = STEPS // INTERVAL
ROUNDING = 1e-8  # forward against reverse mode, 18 steps
VALIDATION = SPLITS[0].validation


def test_the_first_hypergradient_is_that_of_the_whole_training():
    loop = begin(method=Global())
    _, record = next(loop), next(loop)
    state, phi = SGD.init(jax.random.key(0))
    close(vector(record.hypergradient), train(SGD, state, phi).h[-1], ROUNDING)


def test_one_interval_of_every_playout_is_kept():
    loop = begin(method=Global())
    next(loop)
    for s in range(S):
        before, phi = loop.states[0], loop.hyperparams[0]
        record = next(loop)
        kept = train(SGD, before, phi, s * INTERVAL).state(INTERVAL)
        close(loop.states[0], kept, ROUNDING)
        assert int(loop.states[0].step) == record.step == (s + 1) * INTERVAL
        loss = float(SGD.meta_loss(loop.states[0], phi, VALIDATION))
        assert record.metrics["validation_loss"] == pytest.approx(loss, rel=1e-10)


def test_the_last_outer_step_is_that_of_local():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    played = list(begin(method=Global(), hooks=hooks))
    before_last = saved[-2]
    loop = begin(method=Local(), checkpoints={0: [before_last]})
    (record,) = list(loop)
    assert record.outer_step == S
    assert record.hypergradient == played[-1].hypergradient
    assert record.metrics == played[-1].metrics


def test_tangent_steps_are_counted_with_the_playouts():
    records = list(begin(method=Global()))
    assert records[-1].costs == Costs(tangent_steps=STEPS * (S + 1) // 2, validation_gradients=S)
    done = [record.costs.tangent_steps for record in records]
    assert [b - a for a, b in pairwise(done)] == [18, 12, 6]


def test_without_greed_every_outer_step_is_a_whole_training_from_the_start():
    loop = begin(method=Global(greedy=False))
    next(loop)
    start, _ = SGD.init(jax.random.key(0))
    for s in range(S):
        phi = loop.hyperparams[0]
        assert equal(loop.states[0], start)
        record = next(loop)
        whole = train(SGD, start, phi)
        end = whole.state(STEPS)
        close(vector(record.hypergradient), whole.h[-1], ROUNDING)
        loss = float(SGD.meta_loss(end, phi, VALIDATION))
        assert record.metrics["validation_loss"] == pytest.approx(loss, rel=1e-8)
        assert record.costs == Costs(tangent_steps=(s + 1) * STEPS, validation_gradients=s + 1)
    close(loop.states[0], end, ROUNDING)


def test_a_single_interval_is_the_same_for_local_and_both_kinds_of_global():
    runs = [list(begin(method=m, steps=INTERVAL)) for m in (Local(), Global(), Global(False))]
    for records in runs[1:]:
        assert all(same(a, b) for a, b in zip(records, runs[0], strict=True))
