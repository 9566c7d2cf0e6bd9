"""Progress on a fake terminal, as plain lines, and when the console fails."""

import io
import math
import re
import sys

import pytest
from rich.console import Console

from glocal_exp.records import IntervalRecord
from glocal_exp.tracking import Fanout
from glocal_exp.tracking.progress import ProgressSink, short_names
from glocal_exp.tracking.seed_progress import Pace, SeedProgress

SGD = {"learning_rate": 0.0123456, "momentum": 0.9, "weight_decay": 5e-4}
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def info(seed: int = 0, **more: object) -> dict[str, object]:
    return {"seed": seed, "method": "glocal", "steps": 1000, "resumed_step": 0} | more


def record(step: int, seed: int = 0, accuracy: float = 0.5, **more: object) -> IntervalRecord:
    return IntervalRecord(
        seed=seed,
        outer_step=step // 100,
        step=step,
        metrics={"train_loss": 2.0, "test_accuracy": accuracy},
        hyperparameters=SGD,
        **more,  # pyright: ignore[reportArgumentType]
    )


def plain(clock: Clock, seconds: float = 0.0) -> tuple[ProgressSink, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False, width=200)
    return ProgressSink(console, plain_seconds=seconds, clock=clock), stream


def terminal(clock: Clock, width: int = 100) -> tuple[ProgressSink, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=width, height=40)
    return ProgressSink(console, clock=clock), stream


def last_screen(stream: io.StringIO, lines: int) -> list[str]:
    """The bottom `lines` of what was drawn last, without escape codes."""
    text = ESCAPE.sub("", stream.getvalue()).replace("\r", "\n")
    return [line.rstrip() for line in text.split("\n") if line.strip()][-lines:]


def test_time_left_is_the_work_left_over_the_speed_so_far():
    pace = Pace()
    assert pace.left(0.0, total=100) is None
    pace.mark(10.0, 0)
    assert pace.left(10.0, total=100) is None
    pace.mark(30.0, 20)  # one unit a second
    assert pace.left(30.0, total=100) == 80.0
    assert pace.left(50.0, total=100) == 60.0
    assert pace.left(500.0, total=100) == 0.0


def test_time_left_leaves_compilation_out():
    pace = Pace()
    pace.mark(0.0, 0)
    pace.mark(70.0, 10, idle=50.0)  # ten units in twenty seconds
    assert pace.left(70.0, total=100) == 180.0


def test_time_left_counts_from_where_a_resumed_run_started():
    clock = Clock()
    sink, stream = plain(clock)
    sink.start(info(resumed_step=800))
    sink.record(record(800))
    clock.now += 10
    sink.record(record(900))
    assert "0:00:10 left" in stream.getvalue().splitlines()[-1]


def test_plain_line_holds_step_share_time_metric_and_natural_units():
    clock = Clock()
    sink, stream = plain(clock)
    sink.start(info())
    sink.record(record(0, accuracy=0.1))
    clock.now += 20
    sink.record(record(100, accuracy=0.87654))
    first, second = stream.getvalue().splitlines()
    tail = "learning_rate 0.0123, momentum 0.9, weight_decay 0.0005"
    assert first == f"glocal seed 0: step 0/1000 (0%), test accuracy 0.1, {tail}"
    assert second == (
        f"glocal seed 0: step 100/1000 (10%), 0:03:00 left, test accuracy 0.8765, {tail}"
    )


def test_plain_output_has_no_escape_codes_even_if_colours_are_forced(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    sink = ProgressSink(plain_seconds=0)
    sink.start(info())
    sink.record(record(100))
    sink.finish("complete", 0)
    output = capsys.readouterr().out
    assert len(output.splitlines()) == 2
    assert not set("\x1b\r") & set(output)


def test_plain_lines_are_throttled_per_run_but_never_the_last():
    clock = Clock()
    sink, stream = plain(clock, seconds=10.0)
    for seed in (0, 1):
        sink.start(info(seed))
    for step in range(0, 1001, 100):  # one second each
        for seed in (0, 1):
            sink.record(record(step, seed))
        clock.now += 1
    steps = [
        re.findall(r"seed (\d): step (\d+)/", line)[0]
        for line in stream.getvalue().split("\n")[:-1]
    ]
    assert steps == [("0", "0"), ("1", "0"), ("0", "1000"), ("1", "1000")]


def test_divergence_is_told_at_once_and_skipped_meta_steps_are_counted():
    clock = Clock()
    sink, stream = plain(clock, seconds=1e9)
    sink.start(info())
    sink.record(record(0))
    sink.record(record(100, skipped=True))
    sink.record(record(200, skipped=True, diverged=True))
    sink.record(record(300, skipped=True, diverged=True))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("meta steps skipped 2, diverged")


def test_what_keeps_a_run_waiting_before_its_first_step_is_told_at_once_and_costs_no_pace():
    clock = Clock()
    sink, stream = plain(clock, seconds=10.0)
    sink.start(info(resumed_step=500))
    for wait in ("compiling and evaluating", "compiling"):
        sink.progress(500, 1000, wait, 0)
        clock.now += 5
    sink.progress(510, 1000, "", 0)
    assert [line.split(", ")[-1] for line in stream.getvalue().splitlines()] == [
        "compiling and evaluating",
        "compiling",
    ]
    clock.now += 5
    sink.progress(520, 1000, "", 0)
    assert stream.getvalue().endswith("step 520/1000 (52%), 0:04:00 left\n")


def test_an_accuracy_not_evaluated_leaves_the_last_one_on_show():
    sink, stream = plain(Clock())
    sink.start(info())
    sink.record(record(0, accuracy=0.25))
    sink.record(record(100, accuracy=math.nan))
    assert "test accuracy 0.25 at step 0," in stream.getvalue().splitlines()[1]


def test_a_problem_without_accuracy_shows_its_own_metric_and_few_hyperparameters():
    sink, stream = plain(Clock())
    sink.start(info(3, steps=10))
    penalties = {f"penalty_{i}": float(i) for i in range(385)}
    sink.record(IntervalRecord(3, 0, 0, {"regret": 0.125}, penalties))
    assert stream.getvalue() == (
        "glocal seed 3: step 0/10 (0%), regret 0.125, penalty_0 0, penalty_1 1, penalty_2 2, "
        "penalty_3 3, and 381 more\n"
    )


def test_a_playout_larger_than_the_run_sets_share_and_time_left():
    clock = Clock()
    sink, stream = plain(clock)
    sink.start(info(method="global"))
    sink.progress(0, 4000, "playing out", 0)
    clock.now += 100
    sink.progress(1000, 4000, "playing out", 0)
    sink.record(record(100))
    lines = stream.getvalue().splitlines()
    assert lines[1] == ("global seed 0: step 0/1000, 25% of the work, 0:05:00 left, playing out")
    assert lines[2].startswith(
        "global seed 0: step 100/1000, 25% of the work, 0:05:00 left, test accuracy"
    )


def test_between_records_the_steps_move_on_with_the_share():
    sink, stream = plain(Clock())
    sink.start(info())
    sink.progress(1000, 1000, "", 0)  # trained to the end, not yet evaluated
    assert stream.getvalue() == "glocal seed 0: step 1000/1000 (100%)\n"


def test_progress_of_one_seed_leaves_the_others_alone():
    sink, stream = plain(Clock())
    for seed in (0, 1):
        sink.start(info(seed))
    sink.progress(50, 1000, "pushing tangents", seed=1)
    assert stream.getvalue() == "glocal seed 1: step 50/1000 (5%), pushing tangents\n"


def test_the_end_says_how_it_ended_and_how_long_it_took():
    clock = Clock()
    sink, stream = plain(clock, seconds=1e9)
    sink.start(info())
    sink.record(record(500))
    clock.now += 3725
    sink.finish("interrupted", 0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("glocal seed 0: step 500/1000 (50%), test accuracy")
    assert lines[1].endswith("interrupted after 1:02:05")
    assert "left" not in lines[1]


def test_terminal_shows_a_bar_and_a_line_of_facts_per_seed():
    clock = Clock()
    sink, stream = terminal(clock)
    for seed in (0, 1):
        sink.start(info(seed))
        sink.record(record(0, seed))
    clock.now += 30
    sink.record(record(300, seed=0, accuracy=0.75))
    sink.record(record(600, seed=1, accuracy=0.5))
    assert sink._bars is not None
    sink._bars.refresh()
    screen = last_screen(stream, 4)
    assert re.fullmatch(r"glocal seed 0 \S+ + step 300/1000 0:01:10 left", screen[0])
    assert re.fullmatch(r"glocal seed 1 \S+ + step 600/1000 0:00:20 left", screen[2])
    assert screen[1].split("  ")[1:] == [
        "test accuracy 0.75",
        "lr 0.0123",
        "momentum 0.9",
        "wd 0.0005",
    ]
    assert "test accuracy 0.5" in screen[3]
    sink.finish("complete", seed=0)
    assert sink._bars is not None
    sink.finish("complete", seed=1)
    assert sink._bars is None
    screen = last_screen(stream, 4)
    assert screen[1].endswith("complete after 0:00:30")
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


def test_terminal_fits_into_eighty_columns():
    sink, stream = terminal(Clock(), width=80)
    sink.start(info(12345))
    sink.record(record(300, seed=12345, accuracy=0.123456))
    sink.progress(
        1234, 21000, "playing out interval 17 of 100 on all of the training images", 12345
    )
    sink.finish("complete", 12345)
    assert max(len(line) for line in last_screen(stream, 100)) <= 80
    assert "step 300/1000" in last_screen(stream, 2)[0]


def test_a_record_may_come_while_the_bars_are_drawn():
    run = SeedProgress("glocal", 1000, 0, Clock())

    def names(all_of_them):
        run.take(record(100))
        return short_names(all_of_them)

    assert run.facts(names) == []
    assert run.facts(names)[1:] == ["lr 0.0123", "momentum 0.9", "wd 0.0005"]


def test_bar_length_follows_the_work():
    def drawn(work: int) -> int:
        sink, stream = terminal(Clock())
        sink.start(info())
        sink.progress(work, 4000, "", 0)
        sink.finish("complete", 0)
        return last_screen(stream, 2)[0].count("\u2501")  # without colours, only what is done

    assert [drawn(work) for work in (1000, 2000, 3000)] == [6, 12, 18]  # of 24


def test_a_console_that_fails_is_told_once_and_the_run_goes_on(capsys):
    progress = ProgressSink(Console(file=Broken(), force_terminal=False), plain_seconds=0)
    sink = Fanout([progress])
    sink.start(info())
    for step in range(0, 1000, 100):
        sink.record(record(step))
    sink.progress(1, 2, "", 0)
    sink.finish("complete", 0)
    assert capsys.readouterr().err == (
        "Progress display stopped, the run goes on without it "
        "(BrokenPipeError: [Errno 32] Broken pipe)\n"
    )


def test_a_terminal_that_fails_gives_stdout_back(capsys):
    sink = Fanout([terminal(Clock())[0]])
    stdout = sys.stdout
    sink.start(info())
    assert sys.stdout is not stdout  # so that prints appear above the bars
    sink.record(record(100, skipped=None))  # no number: adding it raises
    assert sys.stdout is stdout
    assert "TypeError" in capsys.readouterr().err


def test_a_closed_stdout_does_not_end_the_run(monkeypatch, capsys):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    sink = Fanout([ProgressSink()])
    sink.start(info())
    sink.record(record(0))
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["learning_rate", "momentum", "weight_decay"], ["lr", "momentum", "wd"]),
        (["learning_rate", "beta_1", "beta_2"], ["lr", "b1", "b2"]),
        (["low_rank", "learning_rate"], ["low_rank", "learning_rate"]),
        (["_", "x"], ["_", "x"]),
        ([], []),
    ],
)
def test_short_names_stay_distinct(names, short):
    assert short_names(names) == short
