"""Derivatives of the final loss against autodiff of whole trainings, in float64."""

import jax
import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.hypergrad import names
from glocal_exp.studies.origin import BASE, ORDERS
from glocal_exp.studies.truths import Future, Truths

from .test_origin import INTERVAL, ROUNDING, SEED, STEPS, final_loss, flat, lab, origins

FALL, META_RATE, ORDER = 0.5, 0.1, 1
ORDERED = SEED + ORDERS * ORDER
"""The seed of batches in that order."""


def future(kind):
    settings = {"fall": FALL, "meta_rate": META_RATE, "falling": ["learning_rate"]}
    return Future(lookahead=None, future=kind, **settings)


SETTINGS = {
    "outer_steps": [2],
    "validation_sizes": [5],
    "orders": ORDER,
    "radius": 1e-4,
    "moved": ["learning_rate", "momentum"],
    "futures": {kind: future(kind) for kind in ("held", "plan")},
}


def units():
    return {unit.name: unit for unit in Truths(**SETTINGS).units(lab())}


def test_what_is_measured_and_in_which_order():
    expected = ["s1.schedule.order1", "s2.interval.all", "s2.interval.5"]
    assert list(units()) == [*expected, "s2.held.order1", "s2.plan.order1"]


def test_of_each_interval_alone_is_the_gradient_of_a_whole_training():
    origin, rows = origins().at(1), units()["s1.schedule.order1"].measure().rows
    phis = np.tile(flat(origin), (STEPS // INTERVAL, 1))
    expected = jax.grad(final_loss)(phis, origin.state, 0, STEPS, ORDERED)
    found = np.array([row["value"] for row in rows]).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=1e-12)
    assert [row["s"] for row in rows[:: expected.shape[1]]] == [1, 2, 3]
    assert [row["hyperparameter"] for row in rows[:3]] == list(names(origin.phi))


@pytest.mark.parametrize("kind", ["held", "plan"])
def test_differences_are_slopes_along_the_future(kind):
    origin, rows = origins().at(2), units()[f"s2.{kind}.order1"].measure().rows
    fall = np.array([FALL * META_RATE * (name == "learning_rate") for name in names(origin.phi)])
    falls = np.arange(STEPS // INTERVAL - 1)[:, None] * fall * (kind == "plan")

    def loss(phi):
        return final_loss(phi - falls, origin.state, INTERVAL, STEPS, ORDERED)

    expected = dict(zip(names(origin.phi), jax.grad(loss)(flat(origin)), strict=True))
    assert [row["hyperparameter"] for row in rows] == SETTINGS["moved"]
    for row in rows:  # central differences: an error of the square of 1e-4
        assert row["value"] == pytest.approx(float(expected[row["hyperparameter"]]), rel=1e-6)


def test_an_interval_holds_what_methods_are_given():
    origin, found = origins().at(2), units()["s2.interval.all"].measure()
    np.testing.assert_array_equal(found.arrays["h"], origin.interval(BASE, None))
    assert found.rows[0]["validation"] == origin.validation_size
    assert {"learning_rate", "loss"} < found.rows[0].keys()
    assert found.arrays["mean"].shape == found.arrays["mean_direct"].shape == (3,)
    assert {"values", "mean_value", "sharpness"} < found.arrays.keys()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("outer_steps", [0], "intervals from 1 on"),
        ("orders", 0, "above 0"),
        ("radius", -0.1, "above 0"),
    ],
)
def test_settings_that_make_no_sense(name, value, said):
    with pytest.raises(UserError, match=said):
        Truths(**SETTINGS | {name: value})


def test_moving_what_there_is_not_is_refused():
    every = Truths(**SETTINGS | {"moved": ["b1"]}).units(lab())
    with pytest.raises(UserError, match=r"study\.moved names b1; choose from"):
        [unit.measure() for unit in every if unit.name == "s2.held.order1"]


def test_what_is_to_fall_and_is_not_there_is_refused():
    futures = {"plan": future("plan"), "other": Future(None, "plan", 0.5, 0.1, ["rate"])}
    every = {u.name: u for u in Truths(**SETTINGS | {"futures": futures}).units(lab())}
    with pytest.raises(UserError, match=r"study\.futures\.other\.falling names rate; choose from"):
        every["s2.other.order1"].measure()


@pytest.mark.parametrize("size", [0, -5, 18])
def test_validation_images_that_are_not_there_are_refused(size):
    every = list(Truths(**SETTINGS | {"validation_sizes": [size]}).units(lab()))
    (unit,) = [unit for unit in every if unit.name == f"s2.interval.{size}"]
    with pytest.raises(UserError, match=f"asks for {size} validation images; choose from 1 to 17"):
        unit.measure()
