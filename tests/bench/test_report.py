"""What tables and figures show: each candidate a row and a bar or a line, with its times."""

import numpy as np
import pytest

from benchmarks.measure import Comparison, Entry, Target, costs
from benchmarks.report import document, figure
from glocal_exp.report import style
from tests.bench.results import CIRCUMSTANCES, Clock, entry, measured


def result(most=0.9, **changes):
    clock = Clock()
    target = Target("step / peer's", most, costs("step", "ours"), costs("step", "peer"))
    return measured(entry(clock, target), clock) | CIRCUMSTANCES | changes


def drawn(found):
    with style.applied():
        return figure(found)


@pytest.mark.parametrize(
    ("most", "doubtful", "verdict"),
    [(0.9, [], "met"), (0.4, [], "missed"), (0.9, ["it was busy"], "doubtful"), (None, [], "-")],
)
def test_a_target_has_a_verdict_only_where_the_times_can_be_trusted(most, doubtful, verdict):
    found = result(most, doubtful=doubtful)
    text = document(found)
    (line,) = [line for line in text.splitlines() if line.startswith("| step / peer's")]
    assert line.split(" | ")[1:2] == ["0.50 (0.50 to 0.50)"]
    assert line.split(" | ")[3] == verdict
    assert ("Warning: these times are doubtful: it was busy." in text) == bool(doubtful)
    assert drawn(found).get_suptitle() == ("doubtful: see the table" if doubtful else "")


def test_tables_tell_ours_from_peers_with_units_and_what_could_not_be_timed():
    lines = document(result(missing={"higher": "not here"})).splitlines()
    assert "| step (per step) | **ours** | 1000.00 (1000.00 to 1000.00) |" in lines
    assert "|  | peer | 2000.00 (2000.00 to 2000.00) |" in lines
    assert "Not timed: higher (not here)." in lines


def test_bars_are_medians_in_milliseconds_and_grey_tells_sides_apart():
    steps, gradients = drawn(result()).axes
    assert [bar.get_width() for bar in steps.patches] == [1000.0, 2000.0]
    assert [label.get_text() for label in steps.get_yticklabels()] == ["ours", "peer"]
    assert [bar.get_width() for bar in gradients.patches] == [3000.0]
    assert [bool(bar.get_hatch()) for bar in steps.patches] == [False, True]
    grey = [np.dot(bar.get_facecolor()[:3], (0.299, 0.587, 0.114)) for bar in steps.patches]
    assert abs(grey[0] - grey[1]) > 0.2


def test_points_of_an_axis_are_a_line_a_candidate():
    clock = Clock()
    points = tuple(
        Comparison(
            f"q = {q}",
            (clock.way("forward", float(q)), clock.way("reverse", 4.0)),
            point=("q (hyperparameters)", q),
        )
        for q in (1, 2, 8)
    )
    (axes,) = drawn(measured(Entry("Scaling", points), clock) | CIRCUMSTANCES).axes
    forward, reverse = axes.lines
    np.testing.assert_allclose(forward.get_xydata(), [(1, 1e3), (2, 2e3), (8, 8e3)])
    np.testing.assert_allclose(reverse.get_ydata(), [4e3] * 3)
    assert forward.get_marker() != reverse.get_marker()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("q (hyperparameters)", "ms per step")
