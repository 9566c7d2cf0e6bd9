"""What a method may want of an interval, by every mode that serves it, against the unrolled run."""

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Auto, Forward, Hooks, LowRank, Numerics, Reverse
from glocal_exp.engine.batches import batch_indices
from glocal_exp.errors import UserError
from glocal_exp.methods.mean_iterate import MeanIterate
from glocal_exp.methods.method import Estimate, Method, Wanted
from glocal_exp.types import InnerState
from tests.compilation import quick_compilation  # noqa: F401
from tests.engine.runs import BATCH, SGD, SPLITS, begin, by_seed, close, equal, same
from tests.problems import Network, images, regression, reweighting

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
        return Estimate(total, arrays=arrays)


ALL = Everything(Wanted(LATER, LATER, WINDOW))
LAST = Everything(Wanted((INTERVAL - 1,), mean=WINDOW))
CASES = [
    *((name, Forward(), ALL, ROUNDING) for name in PROBLEMS),
    ("sgd", Forward(chunk=2), ALL, ROUNDING),
    *((name, Reverse(), LAST, ROUNDING) for name in PROBLEMS),
    *((name, Reverse(block=4), Everything(Wanted(mean=WINDOW)), ROUNDING) for name in ("sgd",)),
    ("reweight", LowRank(tolerance=1e-7, sizes=(48,)), ALL, LEFT_OUT),
]


@cache
def unrolled(name):
    """After each step h, h of the training loss on the next batch; and both parts at the mean."""
    problem, splits = PROBLEMS[name]
    key = jax.random.key(0)
    state, phi = problem.init(key)
    flat, unravel = ravel_pytree(phi)
    size = len(jax.tree.leaves(splits.train)[0])
    indices = batch_indices(0, size, BATCH, 0, INTERVAL + 1)
    batches = jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], splits.train)
    validation = jax.tree.map(jnp.asarray, splits.validation)

    def batch(t):
        return jax.tree.map(lambda leaf: leaf[t], batches)

    def step(state, phi, t):
        return problem.step(state, phi, batch(t), jax.random.fold_in(key, t))

    def outcome(flat, direct):
        """Losses of training with `flat`, whose own dependence on hyperparameters is `direct`."""
        phi, here = unravel(flat), unravel(direct)
        place, losses, training, window = state, [], [], []
        for t in range(INTERVAL):
            place, _ = step(place, phi, t)
            losses.append(problem.meta_loss(place, here, validation))
            training.append(step(place, here, t + 1)[1])
            window.append(place.params)
        mean = jax.tree.map(lambda *leaves: sum(leaves) / WINDOW, *window[-WINDOW:])
        frozen = jax.tree.map(jax.lax.stop_gradient, place.opt_state)
        at_mean = problem.meta_loss(InnerState(mean, frozen, place.step), here, validation)
        return jnp.stack(losses), jnp.stack(training), at_mean

    return jax.jit(jax.jacrev(outcome, argnums=(0, 1)))(flat, flat)


@pytest.mark.parametrize(("name", "mode", "method", "tolerance"), CASES)
def test_what_is_measured_is_the_derivative_of_the_unrolled_run(name, mode, method, tolerance):
    problem, splits = PROBLEMS[name]
    settings = {"steps": INTERVAL, "interval": INTERVAL, "mode": mode}
    record = list(begin(problem, splits, method, hooks=KEEP, **settings))[1]
    losses, training, mean = (np.asarray(a + b) for a, b in zip(*unrolled(name), strict=True))
    steps = list(method.asks.steps)
    expected = {"h": losses[steps], "training": training[list(method.asks.training)]}
    expected |= {"mean": np.asarray(unrolled(name)[0][2]), "direct": unrolled(name)[1][2]}
    for kind, rows in expected.items():
        if rows.size:
            close(record.arrays[kind], rows, tolerance)
    if name != "reweight":
        assert np.abs(record.arrays["direct"]).max() > 1e-3  # Network's meta loss has a direct term
    gradients = len(steps) + (method.asks.mean > 0)
    assert record.costs.validation_gradients == gradients
    assert np.isfinite(mean).all()


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


def test_the_mean_iterate_is_served_by_one_sweep_and_by_tangents():
    method = MeanIterate(WINDOW)
    runs = [list(begin(SGD, method=method, mode=mode)) for mode in (Forward(), Auto())]
    assert runs[1][-1].costs.reverse_steps == 18
    for a, b in zip(*runs, strict=True):
        close(list(a.hypergradient.values()), list(b.hypergradient.values()), ROUNDING)
    assert runs[0][-1].costs.validation_gradients == 3
    with pytest.raises(UserError, match=r"method.window=7 does not fit interval=6"):
        begin(method=MeanIterate(7))


def test_a_sweep_does_not_see_the_training_loss():
    with pytest.raises(UserError, match="looks at the training loss; choose hypergradient=forward"):
        begin(method=Everything(Wanted(training=(0,))), mode=Reverse())
