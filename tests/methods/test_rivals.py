"""Rivals against their papers' recursions, written out for a quadratic without noise."""

import numpy as np
import optax
import pytest

from glocal_exp.engine import Copies, run
from glocal_exp.errors import UserError
from glocal_exp.methods.ahead import Ahead
from glocal_exp.methods.constant import Constant
from glocal_exp.methods.discounted import Discounted
from glocal_exp.methods.evolution import Evolution, Persistent
from glocal_exp.methods.hypergradient_descent import HypergradientDescent
from glocal_exp.methods.local import Local
from glocal_exp.problems.noisy_quadratic import NoisyQuadratic, Spectrum
from tests.engine.runs import begin, same, vector

SPECTRUM = Spectrum(1.2, 1.2, 0.0, modes=12)
START, RATE, STEPS = 0.05, 0.3, 40


def rates(method, **settings):
    """Learning rates of each step, and after the last update."""
    problem, optimizer = NoisyQuadratic(SPECTRUM, START), optax.sgd(RATE)
    settings |= {"steps": STEPS, "interval": 1, "batch_size": 1, "meta_optimizer": optimizer}
    loop = run(problem, problem.examples(0), method, **settings)
    learned = [r.hyperparameters["learning_rate"] for r in loop if r.outer_step]
    return [*learned, logistic(float(loop.hyperparams[0]["learning_rate"]))]


def logistic(x):
    return 1 / (1 + np.exp(-x))


def by_hand(h_of, mu=0.0):
    """Learning rates of each step and after the last; `h_of` the parameters before and after."""
    found = SPECTRUM.examples()
    curvature, weight = found["curvature"][0], found["weight"][0]
    u, z, x = np.ones(12), np.zeros(12), np.log(START / (1 - START))
    learned = []
    for _ in range(STEPS):
        rate = logistic(x)
        learned.append(rate)
        z = mu * (1 - rate * curvature) * z - rate * (1 - rate) * curvature * u
        before, u = u, (1 - rate * curvature) * u
        x -= RATE * h_of(before, u, z, rate, curvature, weight)
    return [*learned, logistic(x)]


def test_hypergradient_descent_is_minus_the_product_of_successive_gradients():
    """In units of the starts a loss has the gradient weight u, and a step follows lambda u."""

    def h_of(before, after, z, rate, curvature, weight):
        return -(weight * after) @ (curvature * before) * rate * (1 - rate)

    found = rates(HypergradientDescent(["learning_rate"]))
    np.testing.assert_allclose(found, by_hand(h_of), rtol=1e-12)
    assert found[-1] > 1.3 * START


@pytest.mark.parametrize("mu", [0.0, 0.9, 1.0])
def test_discounted_tangents_follow_marthes_recursion(mu):
    def h_of(before, after, z, rate, curvature, weight):
        return (weight * after) @ z

    found = rates(Discounted(mu=mu))  # carried without being asked for
    np.testing.assert_allclose(found, by_hand(h_of, mu), rtol=1e-12)


def test_what_is_kept_whole_is_real_time_hypergradient_descent():
    runs = [
        list(begin(method=m, carry_tangents=True, share=False))
        for m in (Discounted(mu=1.0), Local())
    ]
    assert all(same(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize(
    "method",
    [
        HypergradientDescent(["learning_rate"]),
        Discounted(mu=0.9, learned=["learning_rate"], evaluate="every"),
    ],
)
def test_what_is_not_learned_stays(method):
    first, *_, last = begin(method=method, share=False)
    assert last.hyperparameters["learning_rate"] != first.hyperparameters["learning_rate"]
    for name in ("momentum", "weight_decay"):
        assert last.hyperparameters[name] == first.hyperparameters[name]
    assert np.isfinite(vector(last.hypergradient)).all()


def test_a_discount_is_a_share():
    with pytest.raises(UserError, match=r"A discount of 1\.5 is not from 0 to 1"):
        begin(method=Discounted(mu=1.5))


def test_persistent_copies_are_carried_without_being_asked_for():
    settings = {"mode": Copies(), "share": False}
    asked = begin(method=Evolution(2, 0.1), carry_tangents=True, **settings)
    runs = [list(asked), list(begin(method=Persistent(2, 0.1), **settings))]
    assert all(same(a, b) for a, b in zip(*runs, strict=True))
    assert not same(list(begin(method=Evolution(2, 0.1), **settings))[-1], runs[0][-1])


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        (HypergradientDescent(["lr"]), "learned"),
        (Discounted(mu=0.9, learned=["lr"]), "learned"),
        (Constant({"lr": "raise"}), "moves"),
        (Ahead(1, "plan", 0.5, 0.1, ["lr"]), "falling"),
    ],
)
def test_what_the_task_does_not_have_is_refused_before_the_first_step(method, setting):
    with pytest.raises(
        UserError, match=rf"method\.{setting} names lr, and the task has learning_r"
    ):
        begin(method=method, share=False)
