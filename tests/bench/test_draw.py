"""What the figures show: each candidate a bar or a line, with its times."""

import matplotlib.image
import numpy as np
import pytest

from glocal_exp.bench import draw
from glocal_exp.bench.comparison import Candidate, Comparison, Entry
from glocal_exp.bench.measure import measure
from glocal_exp.report import style
from tests.bench.results import CIRCUMSTANCES, Clock, entry


def drawn(given, clock, **changes):
    measured = measure(given, 2, clock, peak=lambda clock: 1.0, warm_up=0.0)
    with style.applied():
        return draw.figure(measured | CIRCUMSTANCES | changes)


def test_bars_are_medians_in_milliseconds_and_grey_tells_sides_apart():
    clock = Clock()
    steps, gradients = drawn(entry(clock), clock).axes
    assert [bar.get_width() for bar in steps.patches] == [1000.0, 2000.0]
    assert [label.get_text() for label in steps.get_yticklabels()] == ["ours", "peer"]
    assert [bar.get_width() for bar in gradients.patches] == [3000.0]
    assert [bool(bar.get_hatch()) for bar in steps.patches] == [False, True]
    grey = [np.dot(bar.get_facecolor()[:3], (0.299, 0.587, 0.114)) for bar in steps.patches]
    assert abs(grey[0] - grey[1]) > 0.2


def test_what_is_known_of_a_way_stands_behind_its_bar_with_its_unit():
    clock = Clock()
    facts = {"memory, GiB": 0.157, "fidelity": 0.9}
    way = Candidate("ours", clock.takes(1.0), facts=lambda: facts)
    (axes,) = drawn(Entry("Facts", (Comparison("step", (way,)),)), clock).axes
    assert [text.get_text() for text in axes.texts] == ["memory 0.16 GiB, fidelity 0.9"]


def test_points_of_an_axis_are_a_line_a_candidate():
    clock = Clock()
    points = tuple(
        Comparison(
            f"q = {q}",
            (Candidate("forward", clock.takes(q)), Candidate("reverse", clock.takes(4.0))),
            point=("q (hyperparameters)", q),
        )
        for q in (1, 2, 8)
    )
    (axes,) = drawn(Entry("Scaling", points), clock).axes
    forward, reverse = axes.lines
    np.testing.assert_allclose(forward.get_xydata(), [(1, 1e3), (2, 2e3), (8, 8e3)])
    np.testing.assert_allclose(reverse.get_ydata(), [4e3] * 3)
    assert forward.get_marker() != reverse.get_marker()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("q (hyperparameters)", "ms per step")


@pytest.mark.parametrize("doubts", [[], ["the machine was busy"]])
def test_a_figure_says_when_it_is_doubtful(doubts, tmp_path):
    clock = Clock()
    figure = drawn(entry(clock), clock, doubtful=doubts)
    said = figure.get_suptitle()
    assert said == ("doubtful: see the table" if doubts else "")
    with style.applied():
        files = style.render(figure)
    assert files["pdf"].startswith(b"%PDF")
    (tmp_path / "figure.png").write_bytes(files["png"])
    assert matplotlib.image.imread(tmp_path / "figure.png")[..., :3].std() > 0
