"""Several seeds in one program, one after another or side by side."""

import json
import signal
from itertools import count
from pathlib import Path

import pytest

from .commands import PACED, TOY, Shell, assert_same, checkpoint, manifest, rows, runs, until
from .toy import diverges

BATCHED = [*TOY, "device.cpu.seeds=batched"]
GOOD = [seed for seed in range(20) if not diverges(seed)][:2]
BAD = next(seed for seed in count() if diverges(seed))
SEEDS = f"seeds=[{GOOD[0]},{BAD},{GOOD[1]}]"
STOPPING = [*BATCHED, SEEDS, "+task.last_step=30", "stop_when_diverged=true"]


def named(output: Path) -> dict[int, Path]:
    return {int(name.split("/")[1]): path for name, path in runs(output).items()}


def test_seeds_one_after_another_are_the_runs_of_each_alone(shell, tmp_path):
    shell.done(*TOY, "seeds=[0,1]", f"output_dir={tmp_path}/one")
    for seed in (0, 1):
        shell.finished(tmp_path / "two", seed)
    one, two = named(tmp_path / "one"), named(tmp_path / "two")
    assert set(one) == set(two) == {0, 1}
    for seed in one:
        assert_same(one[seed], two[seed])
        assert (one[seed] / "config.yaml").read_text() == (two[seed] / "config.yaml").read_text()


def test_a_killed_batch_goes_on_from_what_all_have(shell, tmp_path):
    whole, cut = ([*BATCHED, "seeds=[0,1]", f"output_dir={tmp_path}/{n}"] for n in ("a", "b"))
    shell.done(*whole)
    for after in (0, 7):  # before the first checkpoint, and inside the second interval
        command = shell.start(*cut, PACED)
        until(lambda after=after: _begun(tmp_path / "b") and _newest(tmp_path / "b") >= after)
        command.kill()
        assert shell.wait(command).code == -signal.SIGKILL
    command = shell.run(*cut)
    assert "going on from step 20" in command.out
    for seed, run in named(tmp_path / "b").items():
        assert_same(run, named(tmp_path / "a")[seed])


def test_of_a_batch_only_what_is_missing_is_run(shell, tmp_path):
    arguments = [*BATCHED, f"output_dir={tmp_path}"]
    shell.finished(tmp_path)
    command = shell.run(*arguments, "seeds=[0,1]")
    first, second = (named(tmp_path)[seed] for seed in (0, 1))
    assert f"complete already: {first}\n" in command.out
    assert f"done: {second}\n" in command.out


def test_seeds_that_stand_apart_all_keep_what_they_have(shell, tmp_path):
    """Two were stopped at different places, the third has not begun."""
    arguments = [*BATCHED, f"output_dir={tmp_path}"]
    for seed, after in ((0, 5), (1, 9)):
        command = shell.start(*arguments, PACED, f"seed={seed}")
        until(lambda: seed in named(tmp_path) and checkpoint(named(tmp_path)[seed]) >= after)  # noqa: B023
        command.kill(signal.SIGTERM)
        assert shell.wait(command).code == 130
    command = shell.run(*arguments, "seeds=[0,1,2]")
    assert (command.code, command.err) == (0, "")
    for seed, step in ((0, 20), (1, 40)):
        place = f"step {step}, within interval {1 + step // 20}"
        assert f"going on from {place}: {named(tmp_path)[seed]}\n" in command.out
    assert all(len(rows(run)) == 5 for run in named(tmp_path).values())
    for seed in (0, 1):
        shell.finished(tmp_path / "alone", seed)
    for seed, run in named(tmp_path / "alone").items():
        assert_same(run, named(tmp_path)[seed])


@pytest.fixture(scope="module")
def stopping(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One of three seeds stops early; never interrupted."""
    output = tmp_path_factory.mktemp("stopping")
    command = shell.run(*STOPPING, f"output_dir={output}")
    assert (command.code, command.err) == (0, "")
    return named(output)


def test_a_seed_that_diverges_keeps_its_record_and_the_others_go_on(stopping):
    found = manifest(stopping[BAD])
    assert (found["status"], found["diverged"]) == ("complete", True)
    assert [row["step"] for row in rows(stopping[BAD])] == ["0", "20", "40"]
    assert [row["diverged"] for row in rows(stopping[BAD])] == ["False", "False", "True"]
    for seed in GOOD:
        found = manifest(stopping[seed])
        assert (found["status"], found["diverged"]) == ("complete", False)
        assert [row["step"] for row in rows(stopping[seed])] == ["0", "20", "40", "60", "80"]


@pytest.mark.parametrize("after", [6, pytest.param(11, marks=pytest.mark.slow)])
def test_a_kill_before_or_after_a_seed_has_stopped(shell, stopping, tmp_path, after):
    """Four checkpoints an interval; the seed stops in the second."""
    arguments = [*STOPPING, f"output_dir={tmp_path}"]
    command = shell.start(*arguments, PACED)
    until(lambda: _newest(tmp_path) >= after)
    command.kill()
    assert shell.wait(command).code == -signal.SIGKILL
    command = shell.run(*arguments)
    assert (command.code, command.err) == (0, "")
    for seed, run in named(tmp_path).items():
        assert_same(run, stopping[seed])


@pytest.mark.slow  # waits for a batch to be killed, as the others above
def test_a_seed_killed_between_its_last_checkpoint_and_its_end(shell, stopping, tmp_path):
    """The checkpoint is there, the manifest says nothing of it yet."""
    arguments = [*STOPPING, f"output_dir={tmp_path}"]
    command = shell.start(*arguments, PACED)
    until(lambda: BAD in named(tmp_path) and checkpoint(named(tmp_path)[BAD]) >= 7)
    command.kill(signal.SIGSTOP)
    saved = {p: p.read_bytes() for p in (named(tmp_path)[BAD] / "checkpoint").glob("*.ckpt")}
    command.kill()
    shell.wait(command)
    assert saved
    shell.done(*arguments)
    assert_same(named(tmp_path)[BAD], stopping[BAD])


def test_without_the_setting_a_diverged_run_goes_on_to_its_end(shell, tmp_path):
    arguments = [*BATCHED, SEEDS, "+task.last_step=30", f"output_dir={tmp_path}"]
    shell.done(*arguments)
    run = named(tmp_path)[BAD]
    assert manifest(run)["diverged"]
    assert [row["diverged"] for row in rows(run)] == ["False", "False", "True", "True", "True"]
    assert [row["skipped"] for row in rows(run)][-1] == "True"
    assert json.loads((run / "manifest.json").read_text())["status"] == "complete"


def _begun(output: Path) -> bool:
    return any((run / "manifest.json").exists() for run in named(output).values())


def _newest(output: Path) -> int:
    return max((checkpoint(run) for run in named(output).values()), default=0)
