"""Hypergradient distillation against its recursion in NumPy, and against gradhpo.

Training follows half the sum of (c + exp(d)) w^2 by SGD with momentum, c the mean of a batch's;
the validation loss is half the sum of (w - a)^2.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Auto, Distilled, Forward, Hooks, Numerics, Reverse, Splits, run
from glocal_exp.engine.batches import batch_indices
from glocal_exp.engine.compiled import Programs
from glocal_exp.errors import UserError
from glocal_exp.methods.hyperdistill import HyperDistill
from glocal_exp.methods.local import Local
from glocal_exp.types import InnerProblem, InnerState
from tests.engine.runs import same

RNG = np.random.default_rng(0)
C, A, W = RNG.uniform(0.2, 2.0, (20, 3)), np.array([0.3, -0.2, 0.5]), np.array([1.0, -2.0, 1.5])
BATCH, STEPS, META_RATE = 4, 24, 0.05
RATE, DECAY = np.log(0.1), np.log(np.array([0.05, 0.1, 0.2]))
GAMMA, HORIZON, EVERY = 0.8, 6, 2
ROUNDING = 1e-10  # of 24 steps in float64, and of gradhpo's 1e-10 in denominators


class Bowl(InnerProblem):
    momentum: float = eqx.field(static=True, default=0.0)

    def init(self, key):
        phi = {"decay": jnp.asarray(DECAY), "rate": jnp.asarray(RATE)}
        return InnerState(jnp.asarray(W), jnp.zeros(3), jnp.array(0)), phi

    def step(self, state, phi, batch, key):
        slope = (jnp.mean(batch["c"], axis=0) + jnp.exp(phi["decay"])) * state.params
        velocity = self.momentum * state.opt_state + slope
        params = state.params - jnp.exp(phi["rate"]) * velocity
        return InnerState(params, velocity, state.step + 1), slope @ state.params / 2

    def meta_loss(self, state, phi, batch):
        return 0.5 * jnp.sum((state.params - batch["a"][0]) ** 2) + 0.01 * phi["rate"] ** 2

    def describe(self, phi):
        return phi


SPLITS = Splits(train={"c": C}, validation={"a": A[None]})


def begin(momentum=0.0, seeds=(0,), learned=None, gamma=GAMMA, every=EVERY, **settings):
    method = HyperDistill(gamma, HORIZON, every, learned)
    settings = {"steps": STEPS, "interval": 1, "batch_size": BATCH, "mode": Distilled()} | settings
    splits, meta_optimizer = dict.fromkeys(seeds, SPLITS), optax.sgd(META_RATE)
    return run(Bowl(momentum), splits, method, meta_optimizer=meta_optimizer, **settings)


def phis(records):
    """(steps, 4): decays, then the rate; those that each step was taken with."""
    names = ["decay/0", "decay/1", "decay/2", "rate"]
    return np.array([[r.hyperparameters[name] for name in names] for r in records if r.outer_step])


def curvatures(start, count):
    return C[np.asarray(batch_indices(0, len(C), BATCH, start, count))].mean(axis=1)


def by_hand(momentum, interval=1):
    """Algorithms 3 and 4 of the paper, x = (w, v) as rows."""

    def step(x, phi, c):
        v = momentum * x[1] + (c + np.exp(phi[:3])) * x[0]
        return np.array([x[0] - np.exp(phi[3]) * v, v])

    def products(alpha, x, phi, c):
        """alpha A and alpha B at x."""
        slope, rate = c + np.exp(phi[:3]), np.exp(phi[3])
        by_velocity = alpha[1] - rate * alpha[0]
        by_decay = by_velocity * np.exp(phi[:3]) * x[0]
        by_rate = -alpha[0] @ (rate * step(x, phi, c)[1])
        by_state = np.array([alpha[0] + by_velocity * slope, momentum * by_velocity])
        return by_state, np.append(by_decay, by_rate)

    def fit(x, phi, cs):
        states = [x]
        for c in cs:
            states.append(step(states[-1], phi, c))
        alpha = last = np.array([states[-1][0] - A, np.zeros(3)])
        total, xs, ys = 0.0, [], []
        for s in range(1, HORIZON + 1):
            t = HORIZON - s  # steps before the one that is swept through
            line = states[0] + (states[-1] - states[0]) * t / HORIZON
            alpha, by_phi = products(alpha, line, phi, cs[t])
            total = total + by_phi
            weights = GAMMA ** np.arange(s - 1, -1, -1)
            mean = np.tensordot(weights, states[t:HORIZON], 1) / weights.sum()
            v = products(last, mean, phi, cs[t])[1]
            xs.append(np.linalg.norm(v) * weights.sum())
            ys.append(v @ total / np.linalg.norm(v))
        return np.dot(xs, ys) / np.dot(xs, xs)

    x, phi, used, thetas, past = np.array([W, np.zeros(3)]), np.append(DECAY, RATE), [], [], []
    for start in range(0, STEPS, interval):
        used.append(phi)
        if start % (EVERY * HORIZON) == 0:
            theta = fit(x, phi, curvatures(start, HORIZON))
        for c in curvatures(start, interval):
            past.append(x)
            x, newest = step(x, phi, c), c
        weights = GAMMA ** np.arange(len(past))[::-1]
        mean = np.tensordot(weights, past, 1) / weights.sum()
        v = products(np.array([x[0] - A, np.zeros(3)]), mean, phi, newest)[1]
        h = theta * weights.sum() * v + np.array([0, 0, 0, 0.02 * phi[3]])
        phi, thetas = phi - META_RATE * h, [*thetas, theta]
    return np.array(used), thetas


@pytest.mark.parametrize(("momentum", "interval"), [(0.0, 1), (0.7, 1), (0.7, 4)])
def test_it_follows_the_papers_algorithms(momentum, interval):
    expected, thetas = by_hand(momentum, interval)
    records = list(begin(momentum, interval=interval))
    np.testing.assert_allclose(phis(records), expected, rtol=ROUNDING)
    found = [r.diagnostics["theta"] for r in records if r.outer_step]
    np.testing.assert_allclose(found, thetas, rtol=ROUNDING)
    assert len(set(thetas)) == 2
    assert np.ptp(expected, axis=0).min() > 1e-5
    costs = records[-1].costs
    assert costs.plain_steps == STEPS + 2 * HORIZON
    assert costs.reverse_steps == costs.validation_gradients + 2 * (2 * HORIZON - 1)
    assert costs.validation_gradients == STEPS // interval + 2


@pytest.mark.slow  # it compiles each fit anew
def test_gradhpo_moves_the_hyperparameters_alike():
    """Of the same batches; it too takes each step's own as distilled, where the paper mixes some.

    Its state has no room for momentum. Its fit is made by hand, on the batches to come.
    """
    gradhpo = pytest.importorskip("gradhpo", reason="gradhpo is not installed (extra bench)")
    problem = Bowl()

    def update(w, phi, c):
        state = InnerState(w, jnp.zeros(3), jnp.array(0))
        return problem.step(state, phi, {"c": c[None]}, jax.random.key(0))[0].params

    def loss(w, phi, a):
        return problem.meta_loss(InnerState(w, (), jnp.array(0)), phi, {"a": a[None]})

    theirs = gradhpo.OnlineHypergradientOptimizer(
        outer_optimizer=optax.sgd(META_RATE), gamma=GAMMA, T=HORIZON, update_fn=update
    )
    state, phi = problem.init(jax.random.key(0))
    state, batches, used = theirs.init(state.params, phi), curvatures(0, STEPS), []
    for t, batch in enumerate(jnp.asarray(batches)):
        if t % (EVERY * HORIZON) == 0:
            ahead = list(jnp.asarray(batches[t : t + HORIZON]))
            theta = theirs.estimate_theta(state, ahead, jnp.asarray(A), loss, loss)
            state = state.update(metadata={"theta": theta})
        used.append(np.append(state.hyperparams["decay"], state.hyperparams["rate"]))
        state = theirs.step(state, batch, jnp.asarray(A), loss, loss)
    np.testing.assert_allclose(phis(begin()), used, rtol=1e-7)


def test_without_a_past_it_is_one_steps_and_theta_is_told_by_the_state():
    """At gamma = 0 the mean is the state before the step, so that the product is exact."""
    (_, first, *_) = begin(gamma=0.0, every=10**6)
    (_, exact, *_) = run(
        Bowl(), SPLITS, Local(), steps=STEPS, interval=1, batch_size=BATCH, mode=Forward()
    )
    theta, rate = first.diagnostics["theta"], 0.02 * RATE
    found, one = (np.array(list(r.hypergradient.values())) for r in (first, exact))
    direct = np.array([0, 0, 0, rate])
    np.testing.assert_allclose(found - direct, theta * (one - direct), rtol=ROUNDING)


def test_what_is_not_learned_stays():
    found = phis(begin(learned=["rate"]))
    assert np.ptp(found, axis=0)[:3].max() == 0 < np.ptp(found[:, 3])


def test_seeds_side_by_side_go_on_bit_by_bit_from_any_checkpoint():
    saved = {0: [], 1: []}
    hooks = Hooks(checkpoint=lambda seed, content: saved[seed].append(content))
    numerics = Numerics(checkpoint_seconds=-1.0)
    settings = {"numerics": numerics, "programs": Programs(), "interval": 4, "seeds": (0, 1)}
    whole = list(begin(hooks=hooks, **settings))
    assert len(saved[0]) == len(saved[1]) > STEPS // 4
    for contents in zip(saved[0], saved[1], strict=True):
        checkpoints = {seed: [content] for seed, content in enumerate(contents)}
        rest = list(begin(checkpoints=checkpoints, **settings))
        assert all(same(a, b) for a, b in zip(rest, whole[len(whole) - len(rest) :], strict=True))


def test_auto_takes_the_mode_that_serves_it():
    assert begin(mode=Auto()).mode == Distilled()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": Forward()}, "asks for one product in its place; choose hypergradient=auto"),
        ({"mode": Reverse()}, "has no tangents to carry"),
        ({"gamma": 1.0}, r"method\.gamma=1\.0 is not from 0 to below 1"),
        ({"every": 0}, r"method\.every=0 is not at least 1"),
        ({"learned": ["lr"]}, r"method\.learned names lr, and the task has decay"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        begin(**settings)


def test_its_mode_serves_no_other_method():
    with pytest.raises(UserError, match="distilled approximates by one product"):
        run(Bowl(), SPLITS, Local(), steps=4, interval=1, batch_size=BATCH, mode=Distilled())
