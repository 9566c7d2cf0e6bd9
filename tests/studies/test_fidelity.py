"""The study's units, on a network of a few weights."""

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.hypergrad import names
from glocal_exp.studies.fidelity import Fidelity
from glocal_exp.studies.origin import BASE

from .test_origin import lab, origins

SETTINGS = {
    "outer_steps": [2, 1],
    "validation_sizes": [5],
    "starts": 1,
    "start_size": 1e-6,
    "orders": 1,
    "radii": [0.1],
    "slope_starts": 2,
}


def units():
    return {unit.name: unit for unit in Fidelity(**SETTINGS).units(lab())}


def test_what_is_measured_and_in_which_order():
    one = ["origin", "interval.all", "interval.5", "interval.float64", "interval.start1"]
    one += ["truth.base", "truth.float64", "truth.start1", "truth.order1"]
    one += ["slope.0.1.base", "slope.0.1.start1"]
    assert list(units()) == [f"s{s}.{name}" for s in (1, 2) for name in one]


def test_the_units_hold_what_they_say():
    found = units()
    origin = origins().at(2)
    (row,) = found["s2.origin"].measure().rows
    assert {"learning_rate", "momentum", "weight_decay", "loss", "s"} < row.keys()
    interval = found["s2.interval.5"].measure()
    assert interval.rows[0]["validation"] == 5
    assert interval.arrays["h"].shape == (6, 3)
    truth = found["s2.truth.base"].measure()
    np.testing.assert_array_equal(truth.arrays["h"][0], origin.interval(BASE, None)[-1])
    assert (truth.rows[0]["variation"], truth.rows[0]["finite"]) == ("base", 1)
    slopes = found["s2.slope.0.1.start1"].measure().rows
    assert [row["hyperparameter"] for row in slopes] == list(names(origin.phi))
    # A move of 0.1 is not small, but the loss is smooth.
    h = truth.arrays["h"][-1]
    np.testing.assert_allclose([float(row["slope"]) for row in slopes], h, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("outer_steps", [], "intervals from 1 on"),
        ("outer_steps", [0], "intervals from 1 on"),
        ("starts", -1, "negative"),
        ("radii", [0.1, 0.0], "above 0"),
    ],
)
def test_settings_that_make_no_sense(name, value, said):
    with pytest.raises(UserError, match=said):
        Fidelity(**SETTINGS | {name: value})
