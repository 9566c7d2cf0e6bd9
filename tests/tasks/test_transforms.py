import math

import jax
import jax.numpy as jnp
import pytest

from glocal_exp.errors import UserError
from glocal_exp.tasks.transforms import TRANSFORMS, start

IN_RANGE = {
    "sigmoid": [1e-12, 5e-4, 0.01, 0.5, 0.9, 0.999, 1 - 1e-9],
    "exp": [1e-12, 0.01, 1.0, 30.0, 1e9],
    "identity": [-3.5, 0.0, 2, 1e9],
}


@pytest.mark.parametrize(
    ("transform", "value"), [(name, v) for name, values in IN_RANGE.items() for v in values]
)
def test_the_start_in_natural_units_comes_back(transform, value):
    unconstrained = start("momentum", value, transform)
    # Near 1 the sigmoid's output keeps 1e-16 of 1, so compare how far it is from 1 as well.
    forward = float(TRANSFORMS[transform].forward(jnp.asarray(unconstrained)))
    assert forward == pytest.approx(value, rel=1e-12)
    if transform == "sigmoid":
        assert 1 - forward == pytest.approx(1 - value, rel=1e-6)


def test_known_values():
    assert start("momentum", 0.5, "sigmoid") == 0
    assert start("momentum", 0.9, "sigmoid") == pytest.approx(math.log(9), rel=1e-14)
    assert start("learning_rate", math.e, "exp") == pytest.approx(1, rel=1e-14)
    # The derivative of the sigmoid at p is p (1 - p).
    slope = jax.grad(TRANSFORMS["sigmoid"].forward)(jnp.asarray(start("momentum", 0.9, "sigmoid")))
    assert float(slope) == pytest.approx(0.09, rel=1e-12)


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_outside_of_the_open_unit_interval(value):
    with pytest.raises(UserError, match=r"momentum=.* outside of the open range \(0, 1\)"):
        start("momentum", value, "sigmoid")


@pytest.mark.parametrize(
    ("value", "transform"),
    [
        (0.0, "exp"),
        (-1.0, "exp"),
        (math.inf, "exp"),
        (math.inf, "identity"),
        (math.nan, "identity"),
    ],
)
def test_outside_of_other_ranges(value, transform):
    with pytest.raises(UserError, match="outside of the open range"):
        start("learning_rate", value, transform)


@pytest.mark.parametrize("value", ["0.5", None, True, [0.5]])
def test_no_number(value):
    with pytest.raises(UserError, match=r"task.init.momentum is .*; give a number"):
        start("momentum", value, "sigmoid")


def test_an_unknown_transform():
    with pytest.raises(UserError, match="'tanh'; choose one of sigmoid, exp, identity"):
        start("momentum", 0.5, "tanh")
