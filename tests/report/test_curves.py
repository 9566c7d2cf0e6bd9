import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from glocal_exp.report.artifact import Context
from glocal_exp.report.figures.learning_curves import LearningCurves, draw_curves, mean_curve
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import select
from glocal_exp.report.style import STYLES

from .synthetic import CONFIGS, draw, write_run
from .test_recovery import CHOSEN, DOG


def curve(metrics, column):
    return Run(None, "glocal", metrics).curve(column)  # pyright: ignore


def metrics(values, diverged=()):
    steps = [100 * s for s in range(len(values))]
    return pd.DataFrame(
        {"step": steps, "x": values, "diverged": [s in diverged for s in range(len(values))]}
    )


def two_curves():
    """The second is lost in its third record."""
    lost = metrics([3.0, 6.0, 0.1], diverged={2})
    return [curve(metrics([1.0, 2.0, 3.0]), "x"), curve(lost, "x")]


@pytest.mark.parametrize(
    ("values", "diverged", "drawn"),
    [
        ([1.0, 2.0, 3.0, 0.1, 0.1], {3, 4}, {0: 1, 100: 2, 200: 3}),
        ([1.0, 2.0, 3.0], {1}, {0: 1}),  # what comes back after divergence is not drawn
        ([1.0, np.nan, 3.0], {}, {0: 1, 200: 3}),  # not measured is no divergence
    ],
)
def test_a_curve_ends_before_divergence(values, diverged, drawn):
    assert curve(metrics(values, diverged), "x").to_dict() == drawn


def test_a_missing_column_is_an_empty_curve():
    assert curve(metrics([1.0]).drop(columns="x"), "x").empty


def test_the_mean_ends_with_the_first_seed_that_does():
    assert mean_curve(two_curves()).to_dict() == {0: 2.0, 100: 4.0}


def test_no_mean_without_shared_steps():
    empty = curve(metrics([1.0], diverged={0}), "x")
    for curves in ([empty], [curve(metrics([1.0]), "x"), empty]):
        assert mean_curve(curves).empty
        axes = Figure().subplots()
        draw_curves(axes, curves, [True] * len(curves), STYLES["glocal"], 0.5)
        axes.figure.draw_without_rendering()


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.99])
def test_every_seed_is_drawn_thin_the_mean_bold_the_divergence_marked(offset):
    axes = Figure().subplots()
    draw_curves(axes, two_curves(), [False, True], STYLES["glocal"], offset)
    first, second, cross, mean = axes.get_lines()
    np.testing.assert_array_equal(first.get_ydata(), [1, 2, 3])
    np.testing.assert_array_equal(second.get_ydata(), [3, 6])
    np.testing.assert_array_equal(mean.get_ydata(), [2, 4])
    assert [*cross.get_xdata(), *cross.get_ydata(), cross.get_marker()] == [100, 6, "X"]
    assert mean.get_linewidth() > 2 * first.get_linewidth()
    assert {line.get_color() for line in axes.get_lines()} == {STYLES["glocal"].colour}


def test_optimizers_with_nothing_to_learn_are_not_beside_those_that_have(tmp_path):
    write_run(tmp_path, "fig2_sgd", "local", 0)
    write_run(tmp_path, "fig2_sgd", "none", 0, config={"task": DOG}, manifest=CHOSEN)
    context = Context(tmp_path, configs=CONFIGS)
    assert select(tmp_path, "fig2_sgd").methods == ["local", "dog"]
    drawing = draw(LearningCurves("Title.", {"fig2_sgd": "SGD"}), context)
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["local"]
