"""The figure and the table of regret, from a small study whose numbers are known."""

import numpy as np
import pytest

from glocal_exp.report.artifact import Context
from glocal_exp.report.figures.schedule_regret import ScheduleRegretFigure

from .synthetic import draw, reading, table, write_study

REGRETS = {
    # By spectrum and start: two cells, two seeds each.
    ("local", 20): {("a", 0.01): [1.0, 4.0], ("a", 0.1): [9.0, 9.0]},
    ("split", 20): {("a", 0.01): [1.0, 1.0], ("a", 0.1): [2.0, 2.0]},
    ("exact_plan", 20): {("a", 0.01): [1.0, 1.0], ("a", 0.1): [np.inf, 5e3]},
    ("local", 100): {("a", 0.01): [3.0, 3.0], ("a", 0.1): [3.0, 3.0]},
}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    units = {}
    for (method, length), cells in REGRETS.items():
        about = {"outer_steps": length, "meta_optimizer": "adam", "method": method, "momentum": 0}
        units[f"m0-{length}-adam-{method}"] = [
            {**about, "spectrum": s, "start": x, "seed": seed, "loss": 1.0, "regret": regret}
            for (s, x), found in cells.items()
            for seed, regret in enumerate(found)
        ]
    write_study(root, "schedule_regret", units)
    return Context(root, studies=root)


def test_the_table_has_means_worst_cells_and_what_diverged(context):
    sheet = table("schedule_regret").make(context)
    assert sheet.header == ["outer steps", "method", "Adam (paper)"]
    # The mean of 1, 4, 9, 9 is 18 ** 0.5; the worst cell's 9.
    assert sheet.rows == [
        ["20", "local", "4.24 (9.0)"],
        ["", "split", "1.41 (2.0)"],
        ["", "exact, plan", "1.00 (1.0, 2 diverged)"],
        ["100", "local", "3.00 (3.0)"],
    ]
    assert "over 4 runs" in sheet.caption


def test_every_run_is_a_dot_and_what_is_lost_is_counted(context):
    methods = {"local": "local", "split": "split", "exact_plan": "plan", "other": "other"}
    made = "Title.", "schedule_regret", methods, {"adam": "Adam"}
    figure = ScheduleRegretFigure(*made, reading=reading("figure/schedule_regret"))
    drawing = draw(figure, context)
    short, long = drawing.figure.axes
    assert short.get_title() == "Adam, 20 outer steps"
    assert long.get_title() == "Adam, 100 outer steps"
    points, means = short.get_lines()[:6:2], short.get_lines()[1:6:2]
    assert [list(line.get_xdata()) for line in points] == [[1, 4, 9, 9], [1, 1, 2, 2], [1, 1]]
    np.testing.assert_allclose([line.get_xdata()[0] for line in means], [18**0.5, 2**0.5, 1])
    assert [text.get_text() for text in short.texts] == ["4.24", "1.41", "1.00  (2 lost)"]
    assert "4 runs a row" in drawing.caption
