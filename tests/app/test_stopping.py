"""Whatever stops a run, the same command goes on as if nothing had."""

import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glocal_exp.app.stop import Stop

from .commands import (
    LENET,
    PACED,
    ROOT,
    TINY,
    TOY,
    Command,
    Shell,
    assert_same,
    checkpoint,
    manifest,
    rows,
    runs,
    until,
)

RANDOM = random.Random(0)  # how long after a checkpoint a run is stopped
METHODS = ["none", "local", "glocal", "global"]
NOTE = "interrupted: what was done is kept; the same command goes on.\n"


@pytest.fixture(scope="module")
def whole(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that were never interrupted."""
    output = tmp_path_factory.mktemp("whole")
    command = shell.run(*sweep(output))
    assert (command.code, command.err) == (0, "")
    assert [line for line in command.out.splitlines() if line.startswith("[")] == [
        f"[{number}/4] method={method}" for number, method in enumerate(METHODS, start=1)
    ]
    return runs(output)


def sweep(output: Path) -> list[str]:
    return ["-m", *TINY, f"method={','.join(METHODS)}", f"output_dir={output}"]


def stop(shell: Shell, output: Path, method: str, after: int, number: signal.Signals) -> Command:
    """Start the sweep, and stop it a moment after a checkpoint of one of its runs."""
    command = shell.start(*sweep(output), PACED)
    name = f"{method}/0"
    until(
        lambda: command.code or (name in runs(output) and checkpoint(runs(output)[name]) >= after)
    )
    until(lambda: RANDOM.random() < 0.5)
    command.kill(number)
    return shell.wait(command)


@pytest.mark.slow  # as its fixture: waits for sweeps
def test_a_sweep_stopped_again_and_again_ends_as_if_it_never_was(shell, whole, tmp_path):
    """Four checkpoints an interval; global plays out two intervals in its first outer step."""
    command = stop(shell, tmp_path, "local", 2, signal.SIGINT)
    assert (command.code, command.err) == (130, NOTE)
    assert manifest(runs(tmp_path)["local/0"])["status"] == "interrupted"
    assert set(runs(tmp_path)) == {"none/0", "local/0"}, "Ctrl-C ends the whole sweep"

    for method, after in (("local", 5), ("glocal", 3), ("global", 2)):
        assert stop(shell, tmp_path, method, after, signal.SIGKILL).code == -signal.SIGKILL
        assert manifest(runs(tmp_path)[f"{method}/0"])["status"] == "running"

    command = stop(shell, tmp_path, "global", 6, signal.SIGTERM)
    assert (command.code, command.err) == (130, NOTE)
    for method in ("none", "local", "glocal"):
        assert f"complete already: {runs(tmp_path)[f'{method}/0']}\n" in command.out

    command = shell.run(*sweep(tmp_path))
    assert (command.code, command.err) == (0, "")
    assert f"done: {runs(tmp_path)['global/0']}\n" in command.out
    for name, run in runs(tmp_path).items():
        assert_same(run, whole[name])
        assert not (run / "checkpoint").exists()
    sessions = manifest(runs(tmp_path)["global/0"])["sessions"]
    assert len(sessions) == 3


@pytest.mark.parametrize("what", ["checkpoints", "metrics.csv"])
def test_a_run_that_has_lost_its_place_is_kept_and_run_afresh(what, shell, tmp_path):
    arguments = [*TOY, "steps=800", f"output_dir={tmp_path}"]
    command = shell.start(*arguments, PACED)
    until(lambda: runs(tmp_path) and checkpoint(runs(tmp_path)["local/0"]) >= 6)
    command.kill()
    shell.wait(command)
    run = runs(tmp_path)["local/0"]
    if what == "checkpoints":
        for file in (run / "checkpoint").iterdir():
            file.write_bytes(file.read_bytes()[:100])
    else:
        text = (run / what).read_text()
        (run / what).write_text(text.replace("\n0,", "\n00,", 1))
    command = shell.run(*arguments)
    assert (command.code, command.err) == (0, "")
    assert f"damaged, so run afresh (what was there is in damaged/): {run}\n" in command.out
    assert (run / "damaged/1/checkpoint").exists()
    assert manifest(run)["status"] == "complete"
    assert [int(row["outer_step"]) for row in rows(run)] == list(range(41))


def test_a_run_goes_on_from_within_its_first_interval_and_says_so(shell, tmp_path):
    arguments = [*TOY, "steps=800", "interval=800", f"output_dir={tmp_path}"]
    command = shell.start(*arguments)
    until(lambda: runs(tmp_path) and checkpoint(runs(tmp_path)["local/0"]) >= 2)
    command.kill()
    shell.wait(command)
    command = shell.run(*arguments)
    run = runs(tmp_path)["local/0"]
    assert f"going on from step 0, within interval 1: {run}\n" in command.out
    assert [row["step"] for row in rows(run)] == ["0", "800"]


@pytest.mark.parametrize(
    ("settings", "method", "quick"),
    [
        pytest.param(TINY, "local", True, id="linear"),
        pytest.param(LENET, "glocal", False, id="lenet", marks=pytest.mark.slow),
    ],
)
def test_a_program_compiled_afresh_goes_on_to_the_same_bits(
    shell, tmp_path, settings, method, quick
):
    """Without JAX's cache on disk, from which other commands take what was compiled before."""
    arguments, name = [*settings, f"method={method}"], f"{method}/0"
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert shell.run(*arguments, f"output_dir={whole}", quick=quick).code == 0
    command = shell.start(*arguments, PACED, f"output_dir={cut}", quick=quick)
    until(lambda: name in runs(cut) and checkpoint(runs(cut)[name]) >= 2)
    command.kill()
    assert shell.wait(command).code == -signal.SIGKILL
    command = shell.run(*arguments, f"output_dir={cut}", cached=False, quick=quick)
    assert (command.code, command.err) == (0, "")
    assert "going on from " in command.out
    assert_same(runs(cut)[name], runs(whole)[name])


def test_a_signal_in_the_middle_of_a_print_stops_too(monkeypatch):
    """Whatever ails the stream that the thread beside it prints to."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("reentrant call inside")

    monkeypatch.setattr("builtins.print", refuse)
    asked = Stop()
    with asked.listening(), asked.training():
        signal.raise_signal(signal.SIGTERM)
        assert asked.asked


LONG = """
import hashlib, signal, sys
from glocal_exp.app import stop as stopping
from glocal_exp.app.main import guarded

stopping.GRACE_SECONDS = {grace}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it

def work(stop):
    with stop.training():
        print("working", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", {rounds})
        stop.check()
    return 0

sys.exit(guarded(work))
"""  # like XLA, one call into C that hears no signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_a_call_that_does_not_return(number):
    with _python(LONG.format(rounds=2_000_000_000, grace=0.3)) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "working\n"
        program.send_signal(number)
        assert program.stdout.readline() == "\n"
        assert "once more stops at once" in program.stdout.readline(), "told during the call"
        program.send_signal(number)
        _, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (
        130,
        "stopped at once: what was saved is kept; the same command goes on.\n",
    )


def test_a_second_signal_gives_an_orderly_end_its_time():
    with _python(LONG.format(rounds=1_000_000, grace=3.0)) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "working\n"
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (130, NOTE)


def _python(source: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", source]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def test_a_second_process_leaves_a_run_alone(shell, tmp_path):
    arguments = [*TOY, "steps=800", f"output_dir={tmp_path}"]
    first = shell.start(*arguments)
    until(lambda: runs(tmp_path) and checkpoint(runs(tmp_path)["local/0"]) >= 2)
    first.kill(signal.SIGSTOP)
    run = runs(tmp_path)["local/0"]
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    second = shell.run(*arguments)
    assert second.code == 75
    assert second.err == (
        f"error: run {run} is being written by process {first.pid}; "
        "wait for it or stop it, or choose another seed or output_dir\n"
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    first.kill(signal.SIGCONT)
    assert shell.wait(first).code == 0
    assert len(rows(run)) == 41


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux to set limits")
def test_a_disk_that_fills_up_in_the_middle(shell, tmp_path):
    """A limit on the size of files stands in for the disk: checkpoint and manifest do not fit."""
    arguments = [*TOY, "steps=800", f"output_dir={tmp_path}/cut"]
    command = shell.start(*arguments)
    until(lambda: runs(tmp_path / "cut") and checkpoint(runs(tmp_path / "cut")["local/0"]) >= 2)
    resource.prlimit(command.pid, resource.RLIMIT_FSIZE, (2_000, -1))
    assert shell.wait(command).code == 2
    assert command.err.count("\n") == 1
    assert "the disk is full or over its quota; free some space" in command.err
    run = runs(tmp_path / "cut")["local/0"]
    assert manifest(run)["status"] != "complete"
    assert not list(run.rglob(".*.tmp"))
    command = shell.run(*arguments)
    assert (command.code, command.err) == (0, "")
    assert shell.run(*arguments, f"output_dir={tmp_path}/whole").code == 0
    assert_same(run, runs(tmp_path / "whole")["local/0"])


@pytest.mark.slow
def test_a_sweep_has_a_row_an_interval_and_counts_its_playouts(whole):
    for method, run in whole.items():
        assert [row["step"] for row in rows(run)] == ["0", "80", "160"], method
    counts = {m: rows(run)[-1]["tangent_steps"] for m, run in whole.items()}
    assert counts == {"none/0": "0", "local/0": "160", "glocal/0": "160", "global/0": "240"}
