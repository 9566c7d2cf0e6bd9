"""Quadratics with noise: closed forms, the yardstick, and what split makes of them."""

from collections import defaultdict
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import run
from glocal_exp.engine.compiled import Programs
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.split import Split
from glocal_exp.problems.noisy_quadratic import NoisyQuadratic, Spectrum, after, at, derivative
from glocal_exp.studies.lab import Lab
from glocal_exp.studies.schedule_regret import Course, Exact, ScheduleRegret, best_schedule
from glocal_exp.tasks.rules import mean_sign
from glocal_exp.types import InnerState

TAU, LENGTH = 100, 100
SPECTRA = {"a": Spectrum(1.0, 1.5, 0.02), "e": Spectrum(1.5, 1.2, 0.01)}
# From the script that the method was first tried with (NumPy, theta_i = theta_0i cos i, 7 intervals
# before the end): the held, the schedule's and the plan's derivative, and the best schedule's loss
# at 20 intervals.
KNOWN = {
    ("a", 0.01): (-0.016189558, -0.0025908876, -0.018609430, 0.007055405279),
    ("a", 0.1): (0.031716149, -3.9921472e-05, 0.021725898, 0.005328884582),
    ("e", 0.01): (-0.081458579, -0.011699353, -0.083371058, 0.20102484795),
    ("e", 0.1): (-0.042000081, -0.0071180160, -0.047078871, 0.05152300827),
}
SPLIT = Split(
    TAU, 5, "plan", 0.5, share=4, fall=0.5, meta_rate=0.1, clock="steps",
    carried=["learning_rate"], doubt=3, near=0.25,
)  # fmt: skip


def state(modes, params=None, velocity=0.0):
    params = jnp.cos(jnp.arange(1.0, modes + 1)) if params is None else params
    return InnerState(params, velocity + 0 * params, jnp.zeros((), int))


@pytest.mark.usefixtures("optimized")  # it computes for longer than it compiles
@pytest.mark.parametrize("cell", KNOWN)
def test_derivatives_and_the_best_schedule_are_the_scripts(cell):
    name, rate = cell
    examples, x = SPECTRA[name].examples(), np.log(rate / (1 - rate))
    truths = [
        float(sum(derivative(state(400), examples, x, f, r, 7, momentum=0.0, interval=TAU)))
        for f, r in ((0.0, 1.0), (0.0, 0.0), (0.05, 1.0))
    ]
    np.testing.assert_allclose(truths, KNOWN[cell][:3], rtol=2e-7)
    best = best_schedule(SPECTRA[name], 0.0, rate, 20, TAU, 0.1)
    assert best == pytest.approx(KNOWN[cell][3], rel=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_moments_are_those_of_the_recursion_step_by_step(momentum, steps):
    spectrum = Spectrum(1.2, 1.2, 0.1, modes=6)
    examples = spectrum.examples()
    lam, nu = examples["curvature"][0], examples["noise"][0]
    eta = 0.1 * (1 - momentum)
    for i in range(6):
        a = np.array([[1 - eta * lam[i], -eta * momentum], [lam[i], momentum]])
        b = np.array([-eta, 1.0])
        mean, covariance = np.array([np.cos(i + 1.0), 0.3]), np.zeros((2, 2))
        for _ in range(steps):
            mean = a @ mean
            covariance = a @ covariance @ a.T + nu[i] * np.outer(b, b)
        found = after(at(state(6, velocity=0.3)), examples, eta, momentum, steps)
        np.testing.assert_allclose(found.mean[i], mean, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(found.covariance[i], covariance, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("momentum", [0.0, pytest.param(0.9, marks=pytest.mark.slow)])
def test_the_derivative_is_what_hypergradients_are_on_average(momentum):
    """h of runs of one interval, whose noise differs, against the closed form.

    So many modes that h of each run is a mean over much noise already.
    """
    spectrum, lanes = Spectrum(0.5, 0.5, 0.1, modes=400), range(40)
    problem = NoisyQuadratic(spectrum, 0.05 * (1 - momentum), momentum)
    splits = {lane: problem.examples(lane) for lane in lanes}
    records = run(problem, splits, Local(), steps=50, interval=50, batch_size=1)
    h = [r.hypergradient["learning_rate"] for r in records if r.outer_step == 1]
    begin, phi = problem.init(jax.random.key(0))
    settings = {"momentum": momentum, "interval": 50}
    x, examples = phi["learning_rate"], spectrum.examples()
    progress, noise = map(float, derivative(begin, examples, x, 0.0, 1.0, 1, **settings))
    error = np.std(h) / len(h) ** 0.5
    assert np.mean(h) == pytest.approx(progress + noise, abs=4 * error)
    assert error < 0.05 * min(abs(progress), abs(noise))


def study():
    return ScheduleRegret(
        spectra={"e": {"decay": 1.5, "start": 1.2, "noise": 0.01}},
        momenta=[0.0],
        starts=[0.2],
        outer_steps=[LENGTH],
        interval=TAU,
        seeds=2,
        meta_rate=0.1,
        meta_optimizers={"mean_sign": mean_sign(0.1, 0.7)},
        methods={"local": Local(), "split": SPLIT},
        exact={"plan": {"fall": 0.5, "rest": True}},
    )


@pytest.fixture(scope="module")
def regrets():
    units = study().units(Lab(0, lambda _: pytest.fail("no image is needed")))
    return {unit.name: [row["regret"] for row in unit.measure().rows] for unit in units}


@pytest.mark.slow  # trains for 100 outer steps
def test_split_stays_within_the_edge_of_stability_that_a_plan_crosses(regrets):
    """From 0.2 at a curvature of 8, a fifth below it."""
    assert set(regrets) == {f"m0-{LENGTH}-mean_sign-{n}" for n in ("local", "split", "exact_plan")}
    by_name = {name.rsplit("-")[-1]: np.array(found) for name, found in regrets.items()}
    assert not (by_name["exact_plan"] < 1e3).any()
    assert (by_name["split"] < 4).all()
    assert (by_name["local"] > 8).all()  # it lowers the rate


@pytest.mark.parametrize("optimizer", [optax.set_to_zero(), optax.sgd(100.0)])
def test_an_exact_run_has_the_noise_and_the_order_of_a_run(optimizer):
    """An interval is trained with the rate that it begins with, whatever the step at its end."""
    spectrum = Spectrum(1.2, 1.2, 0.1, modes=8)
    problem, examples = NoisyQuadratic(spectrum, 0.05), {7: spectrum.examples()}
    length = 3 if optimizer.update is optax.set_to_zero().update else 1
    course = Course(0.0, length, 0.05, optimizer, Exact(0.0, True), Programs())
    followed = study()._follow(problem, examples, course)
    trained = study()._train(problem, examples, replace(course, method=Local()))
    np.testing.assert_allclose(followed[7].params, trained[7].params, rtol=1e-10)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seeds": 0}, "study.seeds=0"),
        ({"outer_steps": []}, "study.outer_steps is empty"),
        ({"momenta": [1.0]}, "study.momenta"),
        ({"exact": {"held": {"fall": "x", "rest": True}}}, "no number"),
        ({"exact": {"held": {"fal": 0}}}, "does not fit"),
        ({"spectra": {"a": {"decay": 1, "start": 1, "noise": -1}}}, "noise from 0 on"),
    ],
)
def test_settings_at_fault_are_one_sentence(settings, words):
    with pytest.raises(UserError, match=words):
        replace(study(), **settings)


@pytest.fixture(scope="module")
def programs():
    """By momentum: where a rate starts is no part of a program."""
    return defaultdict(Programs)


@pytest.mark.parametrize("momentum", [0.0, pytest.param(0.9, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("share", "least", "most"),
    [(0.03, 0, 0), (0.1, 0, 0), (1, 0, 0), (3.85, 0.5, 1), (4.04, 0.5, 1)],
)
def test_noise_is_doubted_at_the_edge_of_stability_and_nowhere_else(
    programs, share, least, most, momentum
):
    """At shares of `near` of the edge; the meta optimizer leaves the rate where it is.

    With a momentum that the method does not see, for it is not learned, the edge is taken to be at
    2 instead of 2 (1 + momentum).
    """
    known = 2 if share <= 1 else 2 * (1 + momentum)
    rate = share * SPLIT.near * known / 8
    problem = NoisyQuadratic(Spectrum(1.5, 1.2, 0.01, modes=60), rate, momentum)
    settings = {"steps": 12 * TAU, "interval": TAU, "batch_size": 1}
    settings |= {"programs": programs[momentum]}
    splits = {lane: problem.examples(lane) for lane in range(12)}
    loop = run(problem, splits, SPLIT, meta_optimizer=optax.sgd(0.0), **settings)
    doubted = [r.diagnostics["doubted"] for r in loop if r.outer_step and not r.diverged]
    assert least <= np.mean(doubted) <= most
