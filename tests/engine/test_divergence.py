"""Weights and hypergradients that are not finite are data: recorded, skipped, outlived."""

from dataclasses import dataclass
from itertools import islice

import jax
import numpy as np
import optax
import pytest

from glocal_exp.engine import Hooks, Numerics, Splits
from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Estimate
from glocal_exp.records import Costs
from tests.engine.runs import METHODS, SGD, begin, by_seed, close, equal, same, vector
from tests.problems import KEY, Descent, regression

SANE = regression(0)
# Targets so small that the first interval's hypergradients and their squares do not overflow.
FAINT = regression(0, targets=1e-30)
# The weights grow 1e16-fold a step. In float64 the validation loss and its derivatives overflow in
# the second interval of six steps, the weights themselves in the fourth.
EXPLOSIVE = Descent(rate=1e16)
BOOM = [(s, s >= 2, s >= 4) for s in range(6)]


def flags(records):
    return [(record.outer_step, record.skipped, record.diverged) for record in records]


@pytest.mark.parametrize("name", ["local", "window_mean"])
def test_a_hypergradient_that_is_not_finite_moves_nothing(name):
    loop = begin(EXPLOSIVE, FAINT, METHODS[name], steps=30)
    records = [next(loop), next(loop)]
    before = loop.snapshots[0]
    assert not equal(before.phi, EXPLOSIVE.init(KEY)[1])  # the first meta step was taken
    for _ in range(4):
        records.append(next(loop))
        after = loop.snapshots[0]
        assert equal((after.phi, after.meta_state), (before.phi, before.meta_state))
    assert next(loop, None) is None
    assert flags(records) == BOOM
    assert not np.isfinite(loop.states[0].params).all()
    assert records[-1].hyperparameters == records[2].hyperparameters
    windows = {"local": 1, "window_mean": 4}
    assert records[-1].costs == Costs(tangent_steps=30, validation_gradients=5 * windows[name])


def broken(splits: Splits) -> Splits:
    """One training target is missing, which the first epoch meets."""
    y = splits.train["y"].copy()
    y[7] = np.nan
    return Splits({**splits.train, "y": y}, splits.validation, splits.test)


def test_none_goes_on_too():
    records = list(begin(SGD, broken(SANE), METHODS["none"]))
    assert flags(records) == [(s, False, s >= 1) for s in range(4)]
    assert np.isnan(records[-1].metrics["test_loss"])


def test_what_happens_in_a_discarded_playout_is_no_divergence():
    records = list(begin(EXPLOSIVE, FAINT, METHODS["global"], steps=30))
    assert flags(records) == [(s, s >= 1, s >= 4) for s in range(6)]


def test_a_run_may_end_where_it_diverged():
    saved = []
    loop = begin(
        EXPLOSIVE,
        FAINT,
        steps=36,
        stop_when_diverged=True,
        hooks=Hooks(checkpoint=lambda seed, content: saved.append(content)),
    )
    records = list(loop)
    assert flags(records) == BOOM[:5]
    assert loop.position.outer_step == 5
    assert int(loop.states[0].step) == 24
    # Saved before the end, it goes on to the same end.
    loop = begin(EXPLOSIVE, FAINT, steps=36, stop_when_diverged=True, checkpoints={0: [saved[3]]})
    rest = list(loop)
    assert len(rest) == 1
    assert same(rest[0], records[4])


def test_stopping_is_for_the_diverged_alone():
    with_stop = list(begin(SGD, SANE, stop_when_diverged=True))
    without = list(begin(SGD, SANE))
    assert len(with_stop) == 4
    assert all(same(a, b) for a, b in zip(with_stop, without, strict=True))


@pytest.mark.parametrize("sane", [0, 1])
def test_other_seeds_of_a_batch_are_not_affected(sane):
    splits = {seed: SANE if seed == sane else broken(regression(1)) for seed in (0, 1)}
    loop = begin(SGD, splits)
    together, alone = list(loop), list(begin(SGD, SANE, seed=sane))
    assert flags(by_seed(together, 1 - sane)) == [(s, s >= 1, s >= 1) for s in range(4)]
    assert equal(loop.hyperparams[1 - sane], SGD.init(jax.random.key(0))[1])
    assert len(by_seed(together, sane)) == len(alone)
    for a, b in zip(by_seed(together, sane), alone, strict=True):
        assert (a.skipped, a.diverged) == (False, False)
        close(vector(a.metrics), vector(b.metrics), rtol=1e-10)
        close(vector(a.hyperparameters), vector(b.hyperparameters), rtol=1e-10)


@pytest.mark.parametrize("name", ["local", "global"])
def test_what_happened_is_saved_and_a_run_goes_on_bit_by_bit(name):
    saved = []
    settings = {"steps": 30, "numerics": Numerics(segment=3, checkpoint_seconds=-1.0)}
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    records = list(begin(EXPLOSIVE, FAINT, METHODS[name], hooks=hooks, **settings))
    for content in saved:
        loop = begin(EXPLOSIVE, FAINT, METHODS[name], checkpoints={0: [content]}, **settings)
        done = loop.position.outer_step
        assert all(same(a, b) for a, b in zip(loop, records[done:], strict=True))


def test_other_seeds_go_on_when_one_stops():
    splits = {0: broken(regression(1)), 1: SANE}
    loop = begin(SGD, splits, stop_when_diverged=True)
    records = list(islice(loop, 40))
    assert [r.outer_step for r in by_seed(records, 0)] == [0, 1]
    assert [r.outer_step for r in by_seed(records, 1)] == [0, 1, 2, 3]


@pytest.mark.parametrize("every", [6, 12])
def test_a_stopped_seed_does_not_send_the_batch_back_to_its_start(every):
    """Also where it stops between two evaluations."""
    saved = {0: [], 1: []}
    hooks = Hooks(checkpoint=lambda seed, content: saved[seed].append(content))
    splits = {0: broken(regression(1)), 1: SANE}
    settings = {"stop_when_diverged": True, "steps": 36, "eval_every": every}
    list(islice(begin(SGD, splits, **settings, hooks=hooks), 12))
    newest = {seed: contents[:-3:-1] for seed, contents in saved.items()}
    assert begin(SGD, splits, **settings, checkpoints=newest).resumed


def test_a_stopped_run_stays_stopped_when_it_is_started_again():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    list(begin(EXPLOSIVE, FAINT, steps=36, stop_when_diverged=True, hooks=hooks))
    again = begin(EXPLOSIVE, FAINT, steps=36, stop_when_diverged=True, checkpoints={0: saved[-1:]})
    assert list(again) == []


@dataclass(frozen=True)
class Spike(Local):
    """Finds the same slope at every outer step but the second, where it is `size` times that."""

    size: float = 1e20

    def estimate(self, measured, moment):
        slope = self.size if moment.outer_step == 2 else 1.0
        return Estimate(np.full(measured.h.shape[1], slope))


@pytest.mark.parametrize("size", [1e20, 1e39])
def test_a_meta_step_that_overflows_float32_is_skipped(size):
    with jax.enable_x64(False):
        records = list(begin(Descent(), SANE, Spike(size=size), steps=30, share=False))
    assert records[2].skipped
    rates = [r.hyperparameters["rate"] for r in records]
    assert np.isfinite(rates).all()
    assert rates[5] < rates[4] < rates[3]


def test_a_meta_optimizer_may_hold_an_infinity_from_the_start():
    best = optax.GradientTransformation(
        lambda phi: np.array(np.inf), lambda updates, state, phi: (updates, state)
    )
    optimizer = optax.chain(optax.adam(0.1), best)
    records = list(begin(Descent(), SANE, meta_optimizer=optimizer))
    plain = list(begin(Descent(), SANE))
    assert not any(record.skipped for record in records)
    assert [r.hyperparameters for r in records] == [r.hyperparameters for r in plain]


def test_training_that_starts_anew_is_no_longer_diverged():
    """Non-greedy global: what one outer step's training ruins, the next one begins without."""
    loop = begin(EXPLOSIVE, FAINT, METHODS["non_greedy"], steps=30)
    records = []
    for record in loop:
        records.append(record)
        restarts = record.outer_step not in (0, 5)
        assert loop.snapshots[0].diverged == (record.diverged and not restarts)
    assert any(record.diverged for record in records[:-1])


def test_carried_tangents_that_are_not_finite_are_dropped():
    loop = begin(EXPLOSIVE, FAINT, METHODS["local"], steps=30, carry_tangents=True)
    records = []
    for record in loop:
        records.append(record)
        tangents = jax.tree.leaves(loop.snapshots[0].carry)
        assert all(np.isfinite(leaf).all() for leaf in tangents)
    assert records[-1].skipped
