"""The shield, the fan-out and the background thread keep failures away from the run."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from glocal_exp.records import IntervalRecord
from glocal_exp.tracking import Fanout, Sink
from glocal_exp.tracking.sink import Shield

RECORD = IntervalRecord(0, 1, 100, {"test_accuracy": 0.5}, {"momentum": 0.9})


class Recorder(Sink):
    """Writes down what it is told; raises at the call named `fails`."""

    name = "Recorder"

    def __init__(self, fails: str = ""):
        self.fails = fails
        self.calls: list[tuple[Any, ...]] = []

    def _call(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] == self.fails:
            raise OSError(28, "No space left on device\nmore")

    def start(self, run_info: Mapping[str, Any]) -> None:
        self._call("start", run_info)

    def record(self, record: IntervalRecord) -> None:
        self._call("record", record)

    def progress(self, step: int, total_steps: int, note: str, seed: int) -> None:
        self._call("progress", step, total_steps, note, seed)

    def finish(self, status: str, seed: int) -> None:
        self._call("finish", status, seed)


def drive(sink: Fanout) -> None:
    sink.start({"seed": 0})
    sink.record(RECORD)
    sink.progress(10, 100, "playout", seed=0)
    sink.finish("complete", seed=0)


ALL_CALLS = [
    ("start", {"seed": 0}),
    ("record", RECORD),
    ("progress", 10, 100, "playout", 0),
    ("finish", "complete", 0),
]


def test_fanout_hands_every_call_to_every_sink():
    sinks = [Recorder(), Recorder()]
    drive(Fanout([*sinks, Sink()]))
    assert [sink.calls for sink in sinks] == [ALL_CALLS, ALL_CALLS]


@pytest.mark.parametrize("moment", range(4))
def test_a_sink_that_fails_is_dropped_with_one_line_and_the_others_go_on(moment, capsys):
    failing, sound = Recorder(fails=ALL_CALLS[moment][0]), Recorder()
    drive(Fanout([failing, sound]))
    assert failing.calls == ALL_CALLS[: moment + 1]
    assert sound.calls == ALL_CALLS
    assert capsys.readouterr().err == (
        "Recorder stopped, the run goes on without it "
        "(OSError: [Errno 28] No space left on device)\n"
    )


class Failing(Sink):
    """Raises one error at each call, its clean-up included, which is counted."""

    def __init__(self, error: BaseException):
        self.error, self.cleaned = error, 0

    def record(self, record: IntervalRecord) -> None:
        raise self.error

    def abandon(self) -> None:
        self.cleaned += 1
        raise RuntimeError("again")


def test_ctrl_c_passes_through_the_shield():
    with pytest.raises(KeyboardInterrupt):
        Shield(Failing(KeyboardInterrupt()))("record", RECORD)


def test_a_shield_outlives_its_own_clean_up_and_a_missing_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    sink = Failing(SystemExit(3))
    shield = Shield(sink)
    shield("record", RECORD)
    shield("record", RECORD)
    assert sink.cleaned == 1


def test_bounded_calls_are_made_in_order_in_other_threads_that_end():
    threads: list[threading.Thread] = []

    class Patient(Recorder):
        patience: ClassVar = {"finish": 5.0}

        def _call(self, *call: Any) -> None:
            threads.append(threading.current_thread())
            super()._call(*call)

    sink = Patient()
    shield = Shield(sink)
    for i in range(100):
        shield("progress", i, 100, "", 0)
    shield("finish", "complete", 0)
    assert [call[1] for call in sink.calls[:-1]] == list(range(100))
    assert threading.current_thread() not in threads
    assert all(thread.daemon for thread in threads)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_no_arrays_are_held_for_a_sink_and_one_of_patience_is_told_no_progress():
    sink = Recorder()
    sink.patience = {}
    fanout = Fanout([sink])
    fanout.start({"seed": 0})
    fanout.record(replace(RECORD, arrays={"trajectory": np.zeros((9, 1))}))
    fanout.progress(10, 100, "", 0)
    deadline = time.monotonic() + 5
    while len(sink.calls) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sink.calls == ALL_CALLS[:2]


@pytest.mark.parametrize(
    ("body", "expected"),
    [("print('called', flush=True)", "called\n"), ("time.sleep(60)", ""), ("1 / 0", "")],
)
def test_what_is_called_at_exit_may_hang_or_raise(body, expected):
    program = (
        "import time\n"
        "from glocal_exp.tracking.sink import at_exit\n"
        f"def last():\n    {body}\n"
        "at_exit(last, 0.3)\n"
    )
    start = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, "")
    assert time.monotonic() - start < 20
