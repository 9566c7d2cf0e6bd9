import numpy as np
import pytest
from matplotlib.figure import Figure

from glocal_exp.report.axes import apply_scale, chosen_ticks, hyperparameter_axis, tick_label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01, "0.01"), (0.5, "0.5"), (0.999, "0.999"), (0.0005, r"$5{\cdot}10^{-4}$"),
        (1e-5, "$10^{-5}$"), (2, "2"), (0.9999, "0.9999"), (1 - 1e-5, "$1-10^{-5}$"), (0.0, "0"),
        (0.003, "0.003"),
    ],
)  # fmt: skip
def test_tick_labels(value, text):
    assert tick_label(value) == text


@pytest.mark.parametrize(
    ("scale", "low", "high", "expected"),
    [
        ("log", 0.009, 0.3, [0.01, 0.03, 0.1, 0.3]),
        ("log", 1e-5, 0.02, [1e-5, 1e-4, 1e-3, 1e-2]),
        ("log", 0.1, 0.6, [0.1, 0.2, 0.5]),
        ("logit", 0.4, 0.97, [0.5, 0.7, 0.9, 0.97]),
        ("logit", 0.89, 0.9995, [0.9, 0.99, 0.999]),
    ],
)
def test_ticks_are_round(scale, low, high, expected):
    np.testing.assert_allclose(chosen_ticks(scale, low, high), expected, rtol=1e-9)


@pytest.mark.parametrize("scale", ["log", "logit", "linear"])
@pytest.mark.parametrize("low", [1e-6, 1e-3, 0.3, 0.9, 0.9995])
@pytest.mark.parametrize("share", [0.0, 1e-3, 0.5, 0.99])
def test_limits_hold_the_values_and_a_few_ticks(scale, low, share):
    high = low + share * (0.9999 - low)
    axes = Figure().subplots()
    apply_scale(axes, scale, [low, high, float("nan")])
    bottom, top = axes.get_ylim()
    assert bottom < low <= high < top
    ticks = [tick for tick in axes.yaxis.get_majorticklocs() if bottom <= tick <= top]
    assert 1 <= len(ticks) <= 6


@pytest.mark.parametrize("scale", ["log", "logit", "linear"])
@pytest.mark.parametrize("values", [[], [float("nan")], [0.0, 1.0], [0.0, 0.0], [1.0]])
def test_saturated_and_empty_values_can_be_drawn(scale, values):
    axes = Figure().subplots()
    apply_scale(axes, scale, values)
    assert np.isfinite(axes.get_ylim()).all()
    assert np.isfinite(axes.yaxis.get_majorticklocs()).all()


def test_unknown_hyperparameters_find_a_scale():
    assert hyperparameter_axis("momentum", [0.5]).scale == "logit"
    assert hyperparameter_axis("decay_rate", [1e-4, 1e-2]).scale == "log"
    assert hyperparameter_axis("decay_rate", [0.1, 0.5]).scale == "linear"
    assert hyperparameter_axis("shift", [-1.0, 100.0]).scale == "linear"
    assert hyperparameter_axis("decay_rate", []).label == "decay rate"
