"""Rivals that learn the learning rate after every step, against their papers' algorithms in NumPy.

Training follows half the sum of c w^2, whose gradient is c w and whose Hessian is diag(c); the
validation loss is half the sum of (w - a)^2.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Hooks, LowRank, Numerics, Reverse, Splits, run
from glocal_exp.errors import UserError
from glocal_exp.methods.hypergradient_descent import HypergradientDescent
from glocal_exp.methods.marthe import Marthe
from glocal_exp.methods.metaoptimize import MetaOptimize
from glocal_exp.methods.method import Measured, Moment, Wanted
from glocal_exp.tasks.transforms import TRANSFORMS
from glocal_exp.types import InnerProblem, InnerState

C, A, W = np.array([3.0, 1.0, 0.2]), np.array([0.3, -0.2, 0.5]), np.array([1.0, -2.0, 1.5])
START, STEPS, LEARNED = 0.05, 30, ["learning_rate"]
ROUNDING = 1e-11  # of 30 steps in float64


class Bowl(InnerProblem):
    """Any optax rule, with a learned learning rate."""

    rule: Callable = eqx.field(static=True)
    transform: str = eqx.field(static=True)

    def init(self, key):
        phi = {"learning_rate": jnp.asarray(TRANSFORMS[self.transform].inverse(START))}
        return InnerState(jnp.asarray(W), self.rule(START).init(jnp.asarray(W)), jnp.array(0)), phi

    def step(self, state, phi, batch, key):
        (curvature,) = batch["c"]
        rule = self.rule(self.describe(phi)["learning_rate"])
        updates, opt_state = rule.update(curvature * state.params, state.opt_state, state.params)
        loss = 0.5 * curvature @ state.params**2
        return InnerState(state.params + updates, opt_state, state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        return 0.5 * jnp.sum((state.params - batch["a"][0]) ** 2)

    def describe(self, phi):
        return {"learning_rate": TRANSFORMS[self.transform].forward(phi["learning_rate"])}


def rates(method, rule, transform, meta_optimizer, **settings):
    """The learning rate of each step."""
    splits = Splits(train={"c": C[None]}, validation={"a": A[None]})
    settings = {"steps": STEPS, "interval": 1, "batch_size": 1} | settings
    loop = run(Bowl(rule, transform), splits, method, meta_optimizer=meta_optimizer, **settings)
    return [r.hyperparameters["learning_rate"] for r in loop if r.outer_step]


def momentum(decay, nesterov=False):
    """v <- decay v + g; along v, or along g + decay v, of Algorithms 2 and 5 of Baydin et al."""
    v = np.zeros(3)

    def direction(g):
        nonlocal v
        v = decay * v + g
        return g + decay * v if nesterov else v

    return direction


def adam(b1=0.9, b2=0.999, eps=1e-8):
    m, v, t = np.zeros(3), np.zeros(3), 0

    def direction(g):
        nonlocal m, v, t
        m, v, t = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2, t + 1
        return m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)

    return direction


RULES = {
    "sgd": (optax.sgd, lambda: momentum(0.0)),
    "nesterov": (lambda rate: optax.sgd(rate, 0.9, nesterov=True), lambda: momentum(0.9, True)),
    "adam": (optax.adam, adam),
}


def hypergradient_descent(direction, new_rate):
    """`new_rate(rate, g, u)` from the next gradient and d theta / d alpha = u."""
    w, rate, found = W, START, []
    for _ in range(STEPS):
        found.append(rate)
        u = -direction(C * w)
        w = w + rate * u
        rate = new_rate(rate, C * w, u)
    return found


@pytest.mark.parametrize("rule", RULES)
def test_hypergradient_descent_adds_the_product_of_the_next_gradient_and_the_last_step(rule):
    beta = 1e-3
    ours, theirs = RULES[rule]
    expected = hypergradient_descent(theirs(), lambda rate, g, u: rate - beta * g @ u)
    found = rates(HypergradientDescent(LEARNED), ours, "identity", optax.sgd(beta))
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    assert abs(found[-1] / START - 1) > 0.01


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("transform", ["exp", "sigmoid"])
def test_the_multiplicative_rule_multiplies_by_one_minus_the_cosine(rule, transform):
    beta = 0.05
    ours, theirs = RULES[rule]

    def new_rate(rate, g, u):
        factor = 1 - beta * g @ u / np.linalg.norm(g) / np.linalg.norm(u)
        if transform == "exp":
            return rate * factor
        odds = rate / (1 - rate) * factor
        return odds / (1 + odds)

    expected = hypergradient_descent(theirs(), new_rate)
    method = HypergradientDescent(LEARNED, "multiplicative", beta)
    found = rates(method, ours, transform, optax.sgd(beta))
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    assert abs(found[-1] / START - 1) > 0.3


def test_factors_of_a_longer_interval_are_multiplied():
    """At rates that hardly move the two orders of updating agree to second order."""
    beta = 1e-5
    method = HypergradientDescent(LEARNED, "multiplicative", beta)
    every, tenth = (
        rates(method, optax.sgd, "exp", optax.sgd(beta), interval=interval) for interval in (1, 10)
    )
    np.testing.assert_allclose(np.log(tenth[2] / START), np.log(every[20] / START), rtol=1e-3)


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_metaoptimize_follows_its_traces(gamma):
    """Heavy ball, so that the state is more than the weights: H is of (w, v)."""
    eta, decay = 0.02, 0.8
    w, v, beta, found = W, np.zeros(3), np.log(START), []
    trace_w, trace_v = np.zeros(3), np.zeros(3)
    for _ in range(STEPS):
        rate, g = np.exp(beta), C * w
        found.append(rate)
        new_beta = beta - eta * g @ trace_w
        v = decay * v + g
        trace_v = gamma * (decay * trace_v + C * trace_w)
        trace_w = (
            gamma * trace_w - rate * trace_v - rate * v
        )  # the last by beta, of which rate = exp
        w, beta = w - rate * v, new_beta

    def rule(rate):
        return optax.sgd(rate, decay)

    result = rates(MetaOptimize(gamma, LEARNED), rule, "exp", optax.sgd(eta))
    np.testing.assert_allclose(result, found, rtol=ROUNDING)
    assert found[1] == found[0] != found[2]  # the first trace is 0


@pytest.mark.parametrize("alpha", [None, 1e-5])
def test_marthe_adapts_what_it_keeps_of_the_past_and_how_fast_it_goes(alpha):
    eta = 0.004
    w, z, rate, found, mus, betas = W, np.zeros(3), START, [], [], []
    mu, beta, before = 0.0, 0.0 if alpha else eta, 0.0
    for _ in range(STEPS):
        found.append(rate)
        b = -C * w
        z = mu * (1 - rate * C) * z + b
        w = w + rate * b
        h, newest = (w - A) @ z, (w - A) @ b
        mu = min(max(before / newest, 0.0), 1.0)
        if alpha:
            beta = max(beta + alpha * h * before, 0.0)
        rate, before = rate - beta * h, h
        mus, betas = [*mus, mu], [*betas, beta]
    method = Marthe(alpha, 1.0 if alpha else eta, LEARNED)
    result = rates(method, optax.sgd, "identity", optax.sgd(method.meta_rate))
    np.testing.assert_allclose(result, found, rtol=ROUNDING)
    assert any(0 < mu < 1 for mu in mus)
    assert abs(found[-1] / START - 1) > 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HypergradientDescent(LEARNED, "geometric"), r"method\.rule is 'geometric'"),  # pyright: ignore[reportArgumentType]
        (lambda: HypergradientDescent(LEARNED, "multiplicative", 2.0), "rate=2.0 is not between 0"),
        (lambda: Marthe(None, 0.1, ["a", "b"]), "not one hyperparameter"),
        (lambda: Marthe(0.0, 0.1, LEARNED), "not both above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"newest": True}, "newest part is one of an h_t"), ({"sizes": True}, "Sizes are of the tr")],
)
def test_what_goes_with_nothing_measured_is_refused(wanted, message):
    with pytest.raises(UserError, match=message):
        Wanted(**wanted)


@pytest.mark.parametrize(
    ("method", "mode", "message"),
    [
        (HypergradientDescent(LEARNED, "multiplicative"), LowRank(), "asks for each one's size"),
        (Marthe(None, 0.1, LEARNED), Reverse(), "has no tangents to carry"),
    ],
)
def test_modes_that_do_not_serve_them_say_so(method, mode, message):
    with pytest.raises(UserError, match=message):
        rates(method, optax.sgd, "exp", optax.sgd(0.1), mode=mode)


@pytest.mark.parametrize("method", [Marthe(1e-5, 1.0, LEARNED), MetaOptimize(0.9, LEARNED)])
def test_they_go_on_bit_by_bit_from_any_checkpoint(method):
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    settings = {"numerics": Numerics(segment=2, checkpoint_seconds=-1.0), "steps": 12}
    begin = partial(rates, method, optax.sgd, "identity", optax.sgd(1.0), interval=4, **settings)
    whole = begin(hooks=hooks)
    assert len(set(whole)) > 1
    for content in saved:
        rest = begin(checkpoints={0: [content]})
        assert rest == whole[len(whole) - len(rest) :]


def test_marthe_learns_nothing_of_an_h_that_is_not_finite():
    method, nan = Marthe(0.01, 1.0, LEARNED), np.full((1, 1), np.nan)
    memory = {"discount": np.array(0.5), "h": np.array(2.0), "rate": np.array(0.1)}
    found = method.estimate(
        Measured(h=nan, newest=np.ones((1, 1))), Moment(2, 9, 1, tuple(LEARNED), memory=memory)
    )
    assert np.isnan(found.hypergradient).all()  # which the engine skips
    assert found.memory == memory
