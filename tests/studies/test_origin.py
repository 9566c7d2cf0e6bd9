"""What is played out from an interval of training, against reverse mode of the whole playout."""

from dataclasses import replace
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Numerics, Plan, Schedule, run
from glocal_exp.engine.batches import batch_indices
from glocal_exp.errors import UserError
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.hypergradient_descent import HypergradientDescent
from glocal_exp.methods.local import Local
from glocal_exp.studies.lab import Lab, Setting
from glocal_exp.studies.origin import BASE, ORDERS, Origins, Variation
from tests.problems import KEY, Network, regression

STEPS, INTERVAL, BATCH, SEED = 18, 6, 8, 3
PROBLEM, SPLITS = Network("sgd"), regression(0)
ROUNDING = 1e-8  # the same chain rule in another order of operations


@lru_cache
def lab(problem=PROBLEM) -> Lab:
    def start():
        return run(
            problem, SPLITS, Local(), steps=STEPS, interval=INTERVAL, batch_size=BATCH, seed=SEED
        )

    plan = Plan(Schedule(STEPS, INTERVAL, BATCH), Local(), numerics=Numerics(segment=4))
    return Lab(SEED, lambda _: Setting(problem, SPLITS, plan, start))


@lru_cache
def origins() -> Origins:
    return Origins(lab())


@jax.jit
def _final_loss(phis, state, batches, trained, validation):
    """After those of `STEPS` steps that are trained, each with its own hyperparameters."""
    unravel = ravel_pytree(PROBLEM.init(KEY)[1])[1]

    def step(state, row):
        phi, batch, trained = row
        moved, _ = PROBLEM.step(state, unravel(phi), batch, KEY)
        return jax.tree.map(partial(jnp.where, trained), moved, state), None

    state, _ = jax.lax.scan(step, state, (phis, batches, trained))
    return PROBLEM.meta_loss(state, unravel(phis[-1]), validation)


def final_loss(phi, state, first: int, last: int, seed: int = SEED, images: int | None = None):
    """The validation loss after the steps first, ..., last - 1.

    Hyperparameters are flat, for all steps, or have a row an interval.
    """
    rows = jnp.repeat(jnp.atleast_2d(phi), INTERVAL, axis=0)
    phis = jnp.pad(rows, ((0, STEPS - len(rows)), (0, 0)), mode="edge")
    indices = batch_indices(seed, len(SPLITS.train["y"]), BATCH, first, STEPS)
    batches = jax.tree.map(lambda leaf: leaf[indices], SPLITS.train)
    validation = jax.tree.map(lambda leaf: leaf[:images], SPLITS.validation)
    return _final_loss(phis, state, batches, np.arange(STEPS) < last - first, validation)


def flat(origin):
    return ravel_pytree(origin.phi)[0]


def slope(origin, last: int, seed: int = SEED, images: int | None = None):
    first = (origin.outer_step - 1) * INTERVAL
    return jax.grad(final_loss)(flat(origin), origin.state, first, last, seed, images)


def test_an_origin_is_where_training_stands():
    steps = run(
        PROBLEM, SPLITS, Local(), steps=STEPS, interval=INTERVAL, batch_size=BATCH, seed=SEED
    )
    records = [next(steps), next(steps)]
    found = origins().at(2)
    assert records[-1].outer_step == 1
    for one, other in zip(
        jax.tree.leaves((found.state, found.phi)),
        jax.tree.leaves((steps.states[SEED], steps.hyperparams[SEED])),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_the_truth_is_the_gradient_of_the_final_loss(s):
    origin = origins().at(s)
    h, loss = origin.playout(BASE)
    assert h.shape == (4 - s, 3)
    ends = range(s * INTERVAL, STEPS + 1, INTERVAL)
    expected = [slope(origin, end) for end in ends]
    np.testing.assert_allclose(h, expected, rtol=ROUNDING, atol=1e-12)
    expected = final_loss(flat(origin), origin.state, (s - 1) * INTERVAL, STEPS)
    assert loss == pytest.approx(float(expected), rel=1e-12)


def test_every_step_of_an_interval():
    origin = origins().at(2)
    h = origin.interval(BASE, None)
    expected = [slope(origin, INTERVAL + t) for t in range(1, INTERVAL + 1)]
    np.testing.assert_allclose(h, expected, rtol=ROUNDING, atol=1e-12)


def test_fewer_validation_images_are_the_first_ones():
    origin = origins().at(2)
    expected = slope(origin, 2 * INTERVAL, images=5)
    np.testing.assert_allclose(origin.interval(BASE, 5)[-1], expected, rtol=ROUNDING)


def test_another_order_is_that_of_another_seed():
    origin = origins().at(2)
    h, _ = origin.playout(Variation(order=2))
    expected = slope(origin, STEPS, SEED + 2 * ORDERS)
    np.testing.assert_allclose(h[-1], expected, rtol=ROUNDING)
    assert np.abs(h[-1] - origin.playout(BASE)[0][-1]).max() > 1e-3 * np.abs(expected).max()


def test_another_start_is_near_in_proportion_to_its_size():
    origin = origins().at(2)
    base = origin.playout(BASE)[0]
    near, nearer = (
        np.abs(origin.playout(Variation(start=1, start_size=size))[0] - base).max()
        for size in (1e-4, 1e-6)
    )
    assert near / nearer == pytest.approx(100, rel=0.1)  # to first order
    assert near > 0


def test_finite_differences_come_to_the_same():
    origin = origins().at(2)
    found = [
        (origin.final_loss(BASE, index, 1e-5) - origin.final_loss(BASE, index, -1e-5)) / 2e-5
        for index in range(3)
    ]
    np.testing.assert_allclose(found, slope(origin, STEPS), rtol=1e-5)


def test_float64_is_asked_for_where_training_is_not_in_it():
    jax.config.update("jax_enable_x64", False)
    origin = Origins(lab(Network("sgd", width=4))).at(1)
    assert jax.tree.leaves(origin.state.params)[0].dtype == jnp.float32
    low, high = origin.playout(BASE)[0], origin.playout(Variation(float64=True))[0]
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    difference = np.abs(low - high).max() / np.abs(high).max()
    assert 1e-9 < difference < 1e-4


def test_an_interval_beyond_the_end_is_refused():
    with pytest.raises(UserError, match="names interval 4, and training has 3"):
        origins().at(4)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("base", BASE),
        ("float64", Variation(float64=True)),
        ("start1", Variation(start=1)),
        ("order2", Variation(order=2)),
        ("float64-start1", Variation(float64=True, start=1)),
    ],
)
def test_names_of_variations(name, given):
    assert given.name == name


def test_tangents_are_those_of_training_whatever_the_method_keeps_of_them():
    plan = replace(lab().setting.plan, method=HypergradientDescent(["learning_rate"]))
    origin = replace(origins().at(2), work=replace(origins().at(2).work, plan=plan))
    np.testing.assert_array_equal(origin.playout(BASE)[0], origins().at(2).playout(BASE)[0])


def test_training_that_starts_anew_is_refused():
    plan = replace(lab().setting.plan, method=Global(greedy=False))
    setting = replace(lab().setting, plan=plan)
    with pytest.raises(UserError, match="the method starts anew in every outer step"):
        Origins(Lab(SEED, lambda _: setting)).at(1)


def test_hyperparameters_that_are_arrays_have_no_column():
    described = {"rate": jnp.asarray(0.1), "weights": jnp.ones(3)}
    problem: Any = SimpleNamespace(describe=lambda phi: described)
    origin = replace(origins().at(2), setting=replace(lab().setting, problem=problem))
    assert origin.describe() == {"rate": 0.1, "loss": origins().at(2).describe()["loss"]}
