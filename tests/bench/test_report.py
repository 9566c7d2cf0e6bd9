"""What the tables say of targets, peers and the machine."""

import pytest

from glocal_exp.bench.measure import measure
from glocal_exp.bench.report import document
from tests.bench.results import CIRCUMSTANCES, Clock, entry, one_to_one

STEP, PEER = ("step", "ours"), ("step", "peer")


def result(most=0.9, **changes):
    clock = Clock()
    given = entry(clock, targets=(one_to_one("step / peer's", most, STEP, PEER),))
    measured = measure(given, 2, clock, peak=lambda clock: 12e9, warm_up=0.0)
    return measured | CIRCUMSTANCES | changes


@pytest.mark.parametrize(
    ("most", "doubtful", "verdict"),
    [(0.9, [], "met"), (0.4, [], "missed"), (0.9, ["it was busy"], "doubtful"), (None, [], "-")],
)
def test_a_target_has_a_verdict_only_where_the_times_can_be_trusted(most, doubtful, verdict):
    text = document(result(most, doubtful=doubtful))
    (line,) = [line for line in text.splitlines() if line.startswith("| step / peer's")]
    assert line.split(" | ")[1:2] == ["0.50 (0.50 to 0.50)"]
    assert line.split(" | ")[3] == verdict
    assert ("Warning: these times are doubtful: it was busy." in text) == bool(doubtful)


def test_ours_and_peers_are_told_apart_and_units_are_given():
    lines = document(result()).splitlines()
    assert "| step (per step) | **ours** | 1000.00 (1000.00 to 1000.00) | 6 | 50 % |" in lines
    assert "|  | peer | 2000.00 (2000.00 to 2000.00) | 3 | 25 % |" in lines


def test_what_could_not_be_timed_is_said():
    text = document(result(missing={"higher": "not here"}))
    assert "Not timed: higher (not here)." in text
