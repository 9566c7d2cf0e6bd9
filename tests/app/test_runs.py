"""What a command leaves behind: run directories, their contents, how a sweep ends."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from glocal_exp.store import load_runs
from tests.sealing import reseal

from .commands import (
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

NONE = [*TINY, "method=none"]


@pytest.fixture(scope="module")
def stored(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, Path]:
    """A command and its only run directory."""
    output = tmp_path_factory.mktemp("stored")
    command = shell.run(*NONE, "source=auto", "seed=3", f"output_dir={output}")
    assert (command.code, command.err) == (0, "")
    return command, runs(output)["none/3"]


def test_a_sweep_back_says_how_far_it_is(shell: Shell, tmp_path: Path):
    told = ["method=global", "hypergradient=reverse", "tracker._target_=tests.app.toy.Told"]
    command = shell.done(*TOY, *told, "steps=60", f"output_dir={tmp_path}")
    lines = re.findall(r"^told (\d+)/(\d+): (.*)$", command.out, re.MULTILINE)
    work = [int(step) for step, _, _ in lines]
    assert work == sorted(work)
    assert {total for _, total, _ in lines} == {str(2 * (60 + 40 + 20))}
    backward = [(step, note) for step, _, note in lines if note.startswith("sweeping")]
    assert backward == [
        *[("60", "sweeping back 0/60"), ("80", "sweeping back 20/60")],
        *[("100", "sweeping back 40/60"), ("160", "sweeping back 0/40")],
        *[("180", "sweeping back 20/40"), ("220", "sweeping back 0/20")],
    ]


def test_the_source_taken_is_named_first(stored):
    first = stored[0].out.splitlines()[0]
    assert first.startswith("data: Fashion-MNIST (embedded subset of 6,000 + 1,000 images) from ")
    assert "bundled (fmnist.npz); files: neither data_dir nor GLOCAL_DATA_DIR is set" in first


def test_the_manifest_says_where_the_run_came_from(stored):
    _, run = stored
    found = manifest(run)
    names = {"experiment": "fmnist_lenet_sgd", "method": "none", "dataset": "fmnist", "seed": 3}
    assert names.items() <= found.items()
    assert found["variant"] == run.parent.name == f"none-{found['config_hash']}"
    assert (found["status"], found["diverged"], found["error"]) == ("complete", False, None)
    assert re.fullmatch(r"[0-9a-f]{40}", found["git"]["commit"] or "0" * 40)
    assert found["git"]["dirty"] in (True, False, None)
    assert {"jax", "jaxlib", "optax", "equinox", "numpy"} <= set(found["packages"])
    assert found["device"]["platform"] in ("cpu", "gpu")
    assert found["device"]["segment"] == 20
    assert found["data"]["source"] == "bundled"
    assert re.fullmatch(r"[0-9a-f]{16}", found["data"]["fingerprint"])
    assert found["data"]["sizes"] == {"train": 5980, "validation": 20, "test": 1000}
    assert found["command"].startswith("python ")
    assert "steps=160" in found["command"]
    assert found["started"] <= found["ended"]
    assert "glocal_exp.methods.none" in found["source_modules"]
    assert "tests.app.toy" not in found["source_modules"]  # outside of the package


def test_load_runs_gives_it_all(stored):
    _, run = stored
    frame = load_runs(run.parents[2], config=["task.init.learning_rate", "validation.size"])
    assert list(frame["step"]) == [0, 80, 160]
    assert set(frame["status"]) == {"complete"}
    assert set(frame["config/task.init.learning_rate"]) == {0.01}
    assert set(frame["config/validation.size"]) == {20}
    assert np.isfinite(frame["test_accuracy"].to_numpy(float)).all()


def test_a_complete_run_is_left_as_it_is(shell, stored):
    _, run = stored
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    again = shell.run(*NONE, "seed=3", f"output_dir={run.parents[3]}")
    assert (again.code, again.out.splitlines()[1:]) == (0, [f"complete already: {run}"])
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_the_stored_config_repeats_the_run(shell, stored, tmp_path):
    _, run = stored
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["seed"], config["steps"], config["names"]["method"]) == (3, 160, "none")
    assert not {"output_dir", "data_dir", "tracker"} & set(config)
    others = [f"from={run}", "tracker=none", f"output_dir={tmp_path}"]
    refused = shell.refused(*others)
    assert "names tests.app.toy.Linear, which is no part of this package" in refused
    again = shell.run(*others, "model._target_=tests.app.toy.Linear")
    assert (again.code, again.err) == (0, "")
    assert_same(tmp_path.joinpath(*run.parts[-4:]), run)


def test_a_stale_run_is_run_afresh(shell, tmp_path):
    arguments = [*TOY, f"output_dir={tmp_path}"]
    shell.finished(tmp_path)
    run = runs(tmp_path)["local/0"]
    whole = rows(run)
    (run / "metrics.csv").write_text("seed,outer_step\n")
    reseal(run, source_hash="0" * 16)
    again = shell.run(*arguments)
    assert f"stale, so run afresh: {run}\n" in again.out
    assert rows(run) == whole


@pytest.mark.parametrize("status", ["complete", "interrupted"])
def test_a_run_over_other_images_is_run_afresh(shell, tmp_path, status):
    """As if the files in data_dir had changed since."""
    arguments = [*TOY, f"output_dir={tmp_path}"]
    shell.finished(tmp_path)
    run = runs(tmp_path)["local/0"]
    whole, found = rows(run), manifest(run)
    others = {"content": "0" * 32, "fingerprint": "0" * 16}
    (run / "metrics.csv").write_text("seed,outer_step\n")
    reseal(run, status=status, data=found["data"] | others)
    again = shell.done(*arguments)
    assert f"made with other images, so run afresh: {run}\n" in again.out
    assert rows(run) == whole
    assert manifest(run)["data"] == found["data"]
    assert len(manifest(run)["sessions"]) == 1


def test_a_manifest_keeps_what_each_command_ran_on(shell, tmp_path):
    arguments = [*TOY, "steps=800", f"output_dir={tmp_path}"]
    command = shell.start(*arguments)
    until(lambda: runs(tmp_path) and checkpoint(runs(tmp_path)["local/0"]) >= 6)
    command.kill()
    shell.wait(command)
    shell.done(*arguments, "device.cpu.segment=10")
    found = manifest(runs(tmp_path)["local/0"])
    first, last = found["sessions"]
    assert (first["device"]["segment"], last["device"]["segment"]) == (5, 10)
    assert first["data_fingerprint"] == last["data_fingerprint"] == found["data"]["fingerprint"]
    for key in ("command", "git", "packages", "python", "platform", "processor", "device"):
        assert key in first
        assert last[key] == found[key]
    assert first["started"] == found["started"] <= last["started"]
    assert "output_dir=OUTPUT_DIR" in found["command"]


def test_what_an_aborted_clearing_left_is_not_gone_on_with(shell, tmp_path):
    arguments = [*TOY, f"output_dir={tmp_path}"]
    shell.finished(tmp_path)
    run = runs(tmp_path)["local/0"]
    whole = rows(run)
    (run / "arrays.npz").unlink(missing_ok=True)
    (run / "metrics.csv").unlink()
    again = shell.done(*arguments)
    assert f"damaged, so run afresh (what was there is in damaged/): {run}\n" in again.out
    assert rows(run) == whole
    assert (run / "damaged/1/weights.npz").exists()


def test_float64_from_the_command_line(shell, tmp_path):
    sizes = ["precision=float64", "method=none", f"output_dir={tmp_path}"]
    shell.done(*TINY, *sizes)
    run = runs(tmp_path)["none/0"]
    assert manifest(run)["precision"] == "float64"
    with np.load(run / "weights.npz") as weights:
        assert {weights[name].dtype for name in weights.files} == {np.dtype("float64")}
    # more digits than float32 has
    losses = [float(row["validation_loss"]) for row in rows(run)]
    assert all(value != float(np.float32(value)) for value in losses)


@pytest.mark.parametrize(
    ("swept", "name", "told"),
    [
        ("steps=30,40", "steps=30", "steps=30 is not a multiple of interval=20; try steps=20."),
        ("seed=-1,0", "seed=-1", "seed=-1 is out of range; give whole numbers from 0 to "),
    ],
)
def test_one_failing_job_does_not_stop_the_others(shell, tmp_path, swept, name, told):
    arguments = ["-m", *TOY, swept, f"output_dir={tmp_path}"]
    for said in ("done", "complete already"):
        command = shell.run(*arguments)
        assert command.code == 1
        first, last = command.err.splitlines()
        assert first.startswith(f"error: {told}")
        assert last == (
            f"error: 1 of 2 jobs failed ({name}); the same command does only what is missing."
        )
        assert f"{said}: {runs(tmp_path)['local/0']}\n" in command.out


def test_a_bug_shows_its_traceback_and_marks_the_run_failed(shell, tmp_path):
    arguments = [*TOY, f"output_dir={tmp_path}"]
    command = shell.run("-m", *arguments, "+task.broken=true,false")
    assert command.code == 1
    assert command.err.startswith("Traceback")
    assert "RuntimeError: the toy is broken" in command.err
    assert "1 of 2 jobs failed (+task.broken=True)" in command.err.splitlines()[-1]
    statuses = {manifest(run)["status"] for run in (tmp_path / "runs").glob("*/*/*")}
    assert statuses == {"failed", "complete"}


def test_cfg_job_prints_the_config(shell):
    command = shell.done("--cfg", "job", *NONE)
    config = yaml.safe_load(command.out)
    assert (config["steps"], config["method"]["_target_"]) == (
        160,
        "glocal_exp.methods.none.NoHPO",
    )
