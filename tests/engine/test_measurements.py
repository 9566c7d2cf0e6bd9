"""What a method may want of an interval, by every mode that serves it, against the unrolled run."""

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Auto, Copies, Forward, Hooks, LowRank, Numerics, Reverse
from glocal_exp.engine.batches import batch_indices
from glocal_exp.errors import UserError
from glocal_exp.methods.evolution import Evolution, Persistent
from glocal_exp.methods.mean_iterate import MeanIterate
from glocal_exp.methods.method import Estimate, Method, Wanted
from glocal_exp.types import InnerState
from tests.engine.runs import (
    BATCH,
    METHODS,
    SGD,
    SPLITS,
    begin,
    by_seed,
    close,
    equal,
    same,
)
from tests.problems import KEY, Network, images, regression, reweighting

INTERVAL, WINDOW, LATER = 6, 4, (1, 3, 5)
ALWAYS = Numerics(segment=3, checkpoint_seconds=-1.0)
KEEP = Hooks(keep=lambda s: True)
ROUNDING = 1e-8  # the same chain rule in another order of operations
LEFT_OUT = 1e-4  # of 1e-7 of the rows
PROBLEMS = {
    "sgd": (Network("sgd"), regression(0)),
    "adam": (Network("adam"), regression(0)),
    "reweight": (reweighting(hidden=32), images(0)),
}


@dataclass(frozen=True)
class Everything(Method):
    """Records what it is given, and steps along the sum."""

    asks: Wanted

    def wanted(self, interval):
        return self.asks

    def estimate(self, measured, moment):
        given = {"training": measured.training, "mean": measured.mean}
        given |= {"direct": measured.mean_direct, "h": measured.h}
        arrays = {name: rows for name, rows in given.items() if rows.size}
        total = sum(np.atleast_2d(rows).sum(axis=0) for rows in arrays.values())
        losses = {"values": measured.values, "mean_value": np.array(measured.mean_value)}
        return Estimate(total, arrays=arrays | losses | {"sharpness": np.array(measured.sharpness)})


ALL = Everything(Wanted(LATER, LATER, WINDOW))
EVOLUTION = Evolution(pairs=3, scale=0.05)
STILL = optax.sgd(0.0)
LAST = Everything(Wanted((INTERVAL - 1,), mean=WINDOW))
CASES = [
    *((name, Forward(), ALL, ROUNDING) for name in PROBLEMS),
    ("sgd", Forward(chunk=2), ALL, ROUNDING),
    *((name, Reverse(), LAST, ROUNDING) for name in PROBLEMS),
    *((name, Reverse(block=4), Everything(Wanted(mean=WINDOW)), ROUNDING) for name in ("sgd",)),
    ("reweight", LowRank(tolerance=1e-7, sizes=(48,)), ALL, LEFT_OUT),
]


def start(name):
    """A problem's start, its validation examples, and its step by its number."""
    problem, splits = PROBLEMS[name]
    key = jax.random.key(0)
    state, phi = problem.init(key)
    size = len(jax.tree.leaves(splits.train)[0])
    indices = batch_indices(0, size, BATCH, 0, INTERVAL + 1)
    batches = jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], splits.train)

    def step(state, phi, t):
        batch = jax.tree.map(lambda leaf: leaf[t], batches)
        return problem.step(state, phi, batch, jax.random.fold_in(key, t))

    return problem, state, phi, jax.tree.map(jnp.asarray, splits.validation), step


@cache
def unrolled(name):
    """After each step h, h of the training loss on the next batch, and h at the mean.

    Of each the derivative through training, and the direct one.
    """
    problem, state, phi, validation, step = start(name)
    flat, unravel = ravel_pytree(phi)

    def outcome(flat, direct):
        """Losses of training with `flat`, whose own dependence on hyperparameters is `direct`."""
        phi, here = unravel(flat), unravel(direct)

        def body(place, t):
            place, _ = step(place, phi, t)
            loss = problem.meta_loss(place, here, validation)
            return place, (loss, step(place, here, t + 1)[1], place.params)

        place, (losses, training, params) = jax.lax.scan(body, state, jnp.arange(INTERVAL))
        mean = jax.tree.map(lambda leaf: leaf[-WINDOW:].mean(axis=0), params)
        frozen = jax.tree.map(jax.lax.stop_gradient, place.opt_state)
        at_mean = problem.meta_loss(InnerState(mean, frozen, place.step), here, validation)
        return losses, training, at_mean

    return jax.jit(jax.jacrev(outcome, argnums=(0, 1)))(flat, flat)


@pytest.mark.parametrize(("name", "mode", "method", "tolerance"), CASES)
def test_what_is_measured_is_the_derivative_of_the_unrolled_run(name, mode, method, tolerance):
    problem, splits = PROBLEMS[name]
    settings = {"steps": INTERVAL, "interval": INTERVAL, "mode": mode}
    record = list(begin(problem, splits, method, hooks=KEEP, **settings))[1]
    *both, (through, direct) = unrolled(name)
    losses, training = (np.asarray(a + b) for a, b in both)
    steps = list(method.asks.steps)
    expected = {"h": losses[steps], "training": training[list(method.asks.training)]}
    expected |= {"mean": through, "direct": direct}
    for kind, rows in expected.items():
        if rows.size:
            close(record.arrays[kind], np.asarray(rows), tolerance)
    if name != "reweight":
        assert np.abs(record.arrays["direct"]).max() > 1e-3  # Network's meta loss has a direct term
    gradients = len(steps) + (method.asks.mean > 0)
    assert record.costs.validation_gradients == gradients


@cache
def ends(name):
    """Losses at the mean and at the last iterate, the sharpness between, metrics at the mean."""
    problem, state, phi, validation, step = start(name)

    @jax.jit
    def everything(state):
        def body(place, t):
            place, _ = step(place, phi, t)
            return place, place.params

        last, params = jax.lax.scan(body, state, jnp.arange(INTERVAL))

        def loss(params):
            place = InnerState(params, last.opt_state, last.step)
            return problem.meta_loss(place, phi, validation)

        def following(params):
            place = InnerState(params, last.opt_state, last.step)
            return ravel_pytree(step(place, phi, INTERVAL - 1)[0].params)[0]

        both = [jax.tree.map(lambda leaf: leaf[-WINDOW:].mean(axis=0), params), last.params]
        (mean_value, before), (value, after) = (jax.value_and_grad(loss)(point) for point in both)
        g = ravel_pytree(after)[0] - ravel_pytree(before)[0]
        flat = [ravel_pytree(point)[0] for point in both]
        moves = [following(point) - place for point, place in zip(both, flat, strict=True)]
        sharpness = -(g @ (moves[1] - moves[0])) / (g @ (flat[1] - flat[0]))
        averaged = problem.metrics(InnerState(both[0], last.opt_state, last.step), validation)
        return mean_value, value, sharpness, averaged

    return everything(state)


BENDS = Everything(Wanted((INTERVAL - 1,), mean=WINDOW, sharpness=True))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, mode) for name in ("sgd", "adam") for mode in (Forward(), Reverse())),
        ("sgd", Reverse(block=4)),
        ("reweight", LowRank(sizes=(48,))),
    ],
)
def test_losses_and_sharpness_are_those_of_the_run(name, mode):
    """Of gradients and of steps, each the difference between the last iterate and the mean.

    At which metrics are taken too, under names of their own.
    """
    problem, splits = PROBLEMS[name]
    settings = {"steps": INTERVAL, "interval": INTERVAL, "mode": mode, "hooks": KEEP}
    first, record = begin(problem, splits, BENDS, **settings)
    found = record.arrays
    mean_value, value, sharpness, averaged = ends(name)
    close(found["mean_value"], mean_value, ROUNDING)
    close(found["values"], value, ROUNDING)
    close(found["sharpness"], max(0, sharpness), 1e-7)
    assert found["sharpness"] > 0
    for metric in {"loss", "accuracy"} & set(averaged):
        kept = f"validation_{metric}_averaged"
        close(record.metrics[kept], averaged[metric], ROUNDING)
        assert kept not in first.metrics
        assert f"{kept}_averaged" not in record.metrics
    assert record.metrics["validation_loss_averaged"] != record.metrics["validation_loss"]


@pytest.mark.parametrize("mode", [Forward(), Reverse()])
def test_seeds_side_by_side_are_the_seeds_one_by_one(mode):
    together = list(begin(splits=SPLITS, method=LAST, mode=mode, hooks=KEEP))
    for seed, splits in SPLITS.items():
        alone = list(begin(splits=splits, method=LAST, mode=mode, seed=seed, hooks=KEEP))
        for a, b in zip(by_seed(together, seed)[1:], alone[1:], strict=True):
            close(a.arrays["mean"], b.arrays["mean"], 1e-10)


@pytest.mark.parametrize("mode", [Forward(), Reverse()])
def test_it_goes_on_bit_by_bit_from_any_checkpoint(mode):
    saved = []
    settings = {"method": LAST, "mode": mode, "numerics": ALWAYS}
    hooks = Hooks(keep=KEEP.keep, checkpoint=lambda seed, content: saved.append(content))
    whole = begin(**settings, hooks=hooks)
    records = list(whole)
    assert len(saved) > 3
    for content in saved:
        loop = begin(**settings, hooks=KEEP, checkpoints={0: [content]})
        done = loop.position.outer_step
        assert all(same(a, b) for a, b in zip(loop, records[done:], strict=True))
        assert equal(loop.states, whole.states)


@pytest.mark.parametrize("mode", [Forward(), Reverse()])
def test_a_stop_at_an_intervals_very_end_keeps_the_mean(mode):
    """Before its metrics are taken."""
    saved, records = [], list(begin(method=LAST, mode=mode, hooks=KEEP))

    def stop(done, total):
        if done == total:
            raise KeyboardInterrupt

    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content), progress=stop)
    loop = begin(method=LAST, mode=mode, hooks=hooks)
    with pytest.raises(KeyboardInterrupt):
        list(loop)
    loop.checkpoint()
    again = list(begin(method=LAST, mode=mode, hooks=KEEP, checkpoints={0: [saved[-1]]}))
    assert "validation_loss_averaged" in again[0].metrics
    assert all(same(a, b) for a, b in zip(again, records[1:], strict=True))


def test_the_mean_iterate_is_served_by_one_sweep_and_by_tangents():
    method = MeanIterate(WINDOW)
    runs = [list(begin(SGD, method=method, mode=mode)) for mode in (Forward(), Auto())]
    assert runs[1][-1].costs.reverse_steps == 18
    for a, b in zip(*runs, strict=True):
        close(list(a.hypergradient.values()), list(b.hypergradient.values()), ROUNDING)
    assert runs[0][-1].costs.validation_gradients == 3
    with pytest.raises(UserError, match=r"method.window=7 does not fit interval=6"):
        begin(method=MeanIterate(7))


def test_what_a_mode_does_not_serve_is_refused_and_auto_finds_one_that_does():
    with pytest.raises(UserError, match="looks at the training loss; choose hypergradient=auto"):
        begin(method=Everything(Wanted(training=(0,))), mode=Reverse())
    with pytest.raises(UserError, match="asks for the last one's part; choose hypergradient=auto"):
        begin(method=Everything(Wanted((INTERVAL - 1,), newest=True)), mode=Reverse())
    for mode in (Forward(), Reverse()):
        with pytest.raises(UserError, match=f"{mode.name} trains no copies.*hypergradient=auto"):
            begin(method=EVOLUTION, mode=mode)
    with pytest.raises(UserError, match="copies compares copies and differentiates nothing"):
        begin(method=LAST, mode=Copies())
    assert begin(method=EVOLUTION, mode=Auto()).mode == Copies()


def by_hand(persistent, single=False, intervals=3):
    """Each interval's copies, one by one: their final losses and what they were moved by."""
    splits = SPLITS[0]
    indices = batch_indices(0, 40, BATCH, 0, INTERVAL * intervals)
    step = jax.jit(SGD.step)
    state, phi = SGD.init(jax.random.key(0))
    moved = np.zeros((EVOLUTION.pairs, 3))
    copies = [state] * 2 * EVOLUTION.pairs
    for s in range(intervals):
        if s == 0 or not single:
            drawn = np.random.default_rng([0, s + 1]).standard_normal(moved.shape)
        moves = EVOLUTION.scale * drawn
        moved = moved * (persistent and not single) + moves
        copies = copies if persistent else [state] * len(copies)
        flat, unravel = ravel_pytree(phi)
        phis = [unravel(flat + move) for move in (*moves, *-moves)]
        for t in range(INTERVAL * s, INTERVAL * (s + 1)):
            batch = jax.tree.map(lambda leaf, t=t: jnp.asarray(leaf)[indices[t]], splits.train)
            state, _ = step(state, phi, batch, KEY)
            copies = [step(c, p, batch, KEY)[0] for c, p in zip(copies, phis, strict=True)]
        pairs = zip(copies, phis, strict=True)
        losses = np.array([SGD.meta_loss(c, p, splits.validation) for c, p in pairs])
        up, down = losses.reshape(2, -1)
        yield (up - down) @ moved / (2 * EVOLUTION.scale**2 * EVOLUTION.pairs)


SINGLE = Persistent(EVOLUTION.pairs, EVOLUTION.scale, single=True)


@pytest.mark.parametrize(
    ("method", "persistent"), [(EVOLUTION, False), (EVOLUTION, True), (SINGLE, True)]
)
def test_copies_are_trained_as_one_would_train_them_by_hand(method, persistent):
    settings = {"method": method, "mode": Copies(), "carry_tangents": persistent, "steps": 18}
    loop = begin(**settings, meta_optimizer=STILL, hooks=KEEP)
    by_oneself = by_hand(persistent, method is SINGLE)
    for record, expected in zip(list(loop)[1:], by_oneself, strict=True):
        close(record.arrays["hypergradient"], expected, 1e-9)
        assert record.costs.plain_steps == record.step * (1 + 2 * EVOLUTION.pairs)


def test_many_pairs_see_the_slope_of_a_smooth_loss():
    """A mean over 400 directions, of three: within a fifth of the derivative, at small moves."""
    many = Evolution(pairs=400, scale=1e-3)
    found = list(begin(method=many, mode=Copies(), steps=INTERVAL, hooks=KEEP))[1]
    exact = list(begin(method=METHODS["local"], steps=INTERVAL, hooks=KEEP))[1]
    a, b = (record.arrays["hypergradient"] for record in (found, exact))
    assert np.linalg.norm(a - b) < 0.2 * np.linalg.norm(b)


@pytest.mark.parametrize(
    ("method", "persistent"), [(EVOLUTION, False), (EVOLUTION, True), (SINGLE, True)]
)
def test_copies_go_on_bit_by_bit_from_any_checkpoint(method, persistent):
    saved = []
    settings = {"method": method, "mode": Copies(), "carry_tangents": persistent}
    settings |= {"numerics": ALWAYS}
    hooks = Hooks(keep=KEEP.keep, checkpoint=lambda seed, content: saved.append(content))
    records = list(begin(**settings, hooks=hooks))
    assert len(saved) > 3
    for content in saved:
        loop = begin(**settings, hooks=KEEP, checkpoints={0: [content]})
        done = loop.position.outer_step
        assert all(same(a, b) for a, b in zip(loop, records[done:], strict=True))


def test_a_mean_begins_anew_where_tangents_go_on():
    """With hyperparameters that stay, two intervals end as one as long as both."""
    last = [Everything(Wanted((steps - 1,), mean=WINDOW)) for steps in (INTERVAL, 2 * INTERVAL)]
    settings = {"steps": 2 * INTERVAL, "meta_optimizer": STILL, "hooks": KEEP}
    two = list(begin(SGD, method=last[0], carry_tangents=True, **settings))[-1]
    one = list(begin(SGD, method=last[1], interval=2 * INTERVAL, **settings))[-1]
    close(two.arrays["h"], one.arrays["h"], ROUNDING)
    close(two.arrays["mean"], one.arrays["mean"], ROUNDING)
    averaged = "validation_loss_averaged"
    assert two.metrics[averaged] == pytest.approx(one.metrics[averaged], rel=ROUNDING)
