import pytest

from glocal_exp.engine import Numerics, Schedule
from glocal_exp.errors import UserError
from tests.engine.runs import begin


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -5}, "steps=-5 is not a whole number of at least 1"),
        ({"steps": 0}, "steps=0 "),
        ({"steps": True}, "steps=True "),
        ({"steps": 10.0}, "steps=10.0 "),
        ({"interval": 0}, "interval=0 "),
        ({"interval": "5"}, "interval=5 is not a whole number"),
        ({"batch_size": 0}, "batch_size=0 "),
        ({"steps": 25, "interval": 10}, "not a multiple of interval=10; try steps=20"),
        ({"steps": 5, "interval": 10}, "try steps=10"),
        ({"eval_every": 15}, "eval_every=15 is not a positive multiple of interval=10"),
        ({"eval_every": 0}, "eval_every=0 "),
        ({"eval_every": -10}, "eval_every=-10 "),
    ],
)
def test_a_schedule_that_does_not_fit(settings, message):
    with pytest.raises(UserError, match=message):
        Schedule(**{"steps": 30, "interval": 10, "batch_size": 4} | settings)


def test_outer_steps_and_evaluations():
    schedule = Schedule(70, 10, 4, eval_every=20)
    assert schedule.outer_steps == 7
    # The end of training is looked at although 70 is no multiple of 20.
    assert [t for t in range(0, 71, 10) if schedule.evaluates(t)] == [0, 20, 40, 60, 70]
    assert all(Schedule(70, 10, 4).evaluates(t) for t in range(0, 71, 10))


@pytest.mark.parametrize(
    "name", ["validation_chunk", "evaluation_chunk", "chunks_at_once", "segment"]
)
def test_a_piece_has_at_least_one_element(name):
    with pytest.raises(UserError, match=f"{name}=0 is not at least 1"):
        Numerics(**{name: 0})


@pytest.mark.parametrize("interval", [1, 2, 7, 99, 100, 101, 250])
@pytest.mark.parametrize("segment", [1, 2, 3, 50, 100, 1000])
def test_pieces_are_few_short_enough_and_of_two_lengths(interval, segment):
    pieces = Numerics(segment=segment).pieces(interval)
    assert sum(pieces) == interval
    assert max(pieces) <= segment
    assert len(pieces) == -(-interval // segment)
    assert max(pieces) - min(pieces) <= 1


def test_a_run_whose_batches_do_not_fit_does_not_start():
    with pytest.raises(UserError, match="batch_size=41 is larger than the 40 training examples"):
        begin(batch_size=41)
