"""h_t by precision: the same start, the same batches, other arithmetic."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab
from glocal_exp.studies.origin import Origins, Variation
from glocal_exp.studies.precision import Precision
from tests.problems import Network

from .test_origin import PROBLEM, SEED, lab

SETTINGS = {"outer_steps": [2, 1], "starts": 1, "start_size": 1e-6}


class Rounded(Network):
    """The same network with its activations and products in bfloat16."""

    def _loss(self, params, batch):
        params, batch = jax.tree.map(lambda x: x.astype("bfloat16"), (params, batch))
        return super()._loss(params, batch).astype(float)


class Products(Network):
    """The same network, its loss larger where products in float32 are not the most exact."""

    def _loss(self, params, batch):
        exact = jax.config.jax_default_matmul_precision in (None, "highest")
        return super()._loss(params, batch) * (1 if exact else 2)


def changed(changes):
    if not changes:
        return lab().setting
    problem = {"rounded": Rounded("sgd"), "wide": Network("sgd", 7), "same": PROBLEM}
    if changes["how"] in problem:
        return replace(lab().setting, problem=problem[changes["how"]])
    return replace(
        lab(Products("sgd")).setting, matmul_precision=changes["how"], problem=Products("sgd")
    )


def units(**variants):
    given = {name: {"how": name} for name in variants}
    study = Precision(**SETTINGS, variants=given)
    return {unit.name: unit for unit in study.units(replace(lab(), build=changed))}


def test_the_same_start_in_other_arithmetic():
    found = units(rounded=True, same=True)
    names = ["base", "float64", "start1", "rounded", "same"]
    assert list(found) == [f"s{s}.{name}" for s in (1, 2) for name in names]
    h = {name: found[f"s2.{name}"].measure().arrays["h"] for name in names}
    origin = Origins(lab()).at(2)
    np.testing.assert_array_equal(h["base"], h["same"])
    np.testing.assert_array_equal(h["base"], origin.interval(Variation(), None))
    moved = np.abs(h["start1"] - h["base"]).max()
    rounded = np.abs(h["rounded"] - h["base"]).max()
    size = np.abs(h["base"]).max()
    assert 0 < moved < 1e-4 * size
    assert 1e-3 * size < rounded < 0.2 * size  # bfloat16 has 8 bits


def test_products_have_the_precision_of_their_setting_alone():
    found = units(tensorfloat32=True, highest=True)
    base, low, high = (
        found[f"s1.{name}"].measure().arrays["h"] for name in ("base", "tensorfloat32", "highest")
    )
    np.testing.assert_array_equal(base, high)
    assert np.abs(low - base).max() > 0.05 * np.abs(base).max()
    assert jax.config.jax_default_matmul_precision is None


def test_training_goes_on_in_its_own_precision():
    """Whatever a variant has left behind: app.device sets the precision of products for all."""
    setting = replace(lab(Products("sgd")).setting, matmul_precision="highest")
    origins = Origins(Lab(SEED, lambda _: setting))
    origins.at(1)
    jax.config.update("jax_default_matmul_precision", "tensorfloat32")
    found = origins.at(2).state.params
    jax.config.update("jax_default_matmul_precision", None)
    expected = Origins(lab(Products("sgd"))).at(2).state.params
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), found, expected)


def test_the_row_says_what_it_is():
    (row,) = units(rounded=True)["s1.rounded"].measure().rows
    assert row == {"s": 1, "variation": "rounded", "steps": 6, "validation": 17}


def test_another_network_is_refused():
    with pytest.raises(UserError, match="other weights than training has"):
        units(wide=True)["s1.wide"].measure()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("outer_steps", [], "from 1 on"), ("outer_steps", [0], "from 1 on"), ("starts", -1, "negat")],
)
def test_settings_that_make_no_sense(name, value, said):
    with pytest.raises(UserError, match=said):
        Precision(**SETTINGS | {name: value})
