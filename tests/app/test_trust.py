"""Nothing stored is believed unseen, nothing of the user's is touched, one run has one writer."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from glocal_exp.app.assemble import PINNED, use_precision
from glocal_exp.app.compose import jobs
from glocal_exp.app.device import Settings, chosen_settings
from glocal_exp.store import find_runs, load_runs
from glocal_exp.store.lock import RunLock

from .commands import ROOT, TINY, TOY, Shell, manifest, rows, runs


@pytest.fixture
def made(shell: Shell, tmp_path: Path):
    """A complete run and its command."""
    shell.finished(tmp_path)
    return runs(tmp_path)["local/0"], [*TOY, f"output_dir={tmp_path}"]


def digit(text: str) -> str:
    """The text with its last digit changed."""
    place = max(text.rfind(d) for d in "123456789")
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


CHANGES = {
    "metrics.csv, a digit": ("metrics.csv", digit),
    "metrics.csv, its last row": ("metrics.csv", lambda text: text[: text[:-1].rfind("\n") + 1]),
    "config.yaml": (
        "config.yaml",
        lambda text: text.replace("learning_rate: 0.01", "learning_rate: 0.1"),
    ),
    "manifest.json": (
        "manifest.json",
        lambda text: text.replace('"method": "local"', '"method": "none"'),
    ),
    "manifest.json, torn": ("manifest.json", lambda text: text[:200]),
    "weights.npz": ("weights.npz", None),
    "arrays.npz": ("arrays.npz", None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_run_that_was_changed_is_named_left_out_and_run_afresh(shell, made, what):
    run, arguments = made
    whole, (name, change) = rows(run), CHANGES[what]
    other = run.parents[1] / "other-0123abcd" / "seed=0"
    shutil.copytree(run, other)
    file = run / name
    if change is None:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        assert change(file.read_text()) != file.read_text()
        file.write_text(change(file.read_text()))
    root = run.parents[2]
    assert status(run) == "damaged"
    with pytest.warns(UserWarning, match=f"left out: {run}"):
        frame = load_runs(root)
    assert str(run) not in set(frame["path"])
    again = shell.done(*arguments)
    assert f"damaged, so run afresh (what was there is in damaged/): {run}\n" in again.out
    assert rows(run) == whole
    assert (run / "damaged/1" / name).exists()
    assert status(run) == "complete"


def status(run: Path) -> str:
    return {r.path: r.status for r in find_runs(run.parents[2], check_source=False)}[run]


def test_a_checkpoint_of_another_run_is_refused(shell, tmp_path):
    for seed in (0, 1):
        shell.finished(tmp_path, seed)
    first, second = (runs(tmp_path)[f"local/{seed}"] for seed in (0, 1))
    from glocal_exp.store import RunDirectory

    for run in (first, second):
        with RunDirectory(run) as directory:
            directory.update_manifest(status="interrupted", checksums={})
            directory.save_checkpoint(b"content")
    shutil.copytree(second / "checkpoint", first / "checkpoint", dirs_exist_ok=True)
    refused = shell.refused(*TOY, f"output_dir={tmp_path}")
    assert "is of another run or other images; delete that file." in refused


NAMES = ["thesis.tex", "metrics.csv", "config.yaml", "lock", ".hidden", ".notes.1.tmp"]


@pytest.mark.parametrize(
    ("name", "link"), [*((name, False) for name in NAMES), ("thesis.tex", True), ("lock", True)]
)
def test_what_the_program_did_not_write_stays(shell, tmp_path, name, link):
    arguments = [*TOY, f"output_dir={tmp_path / 'out'}"]
    shell.finished(tmp_path / "probe")
    path = tmp_path / "out" / runs(tmp_path / "probe")["local/0"].relative_to(tmp_path / "probe")
    mine = tmp_path / "mine" if link else path
    mine.mkdir(parents=True)
    (mine / name).write_text("years of work")
    if link:
        path.parent.mkdir(parents=True)
        path.symlink_to(mine)
    refused = shell.refused(*arguments)
    assert f"holds {name}, which this program did not write" in refused
    assert {p.name: p.read_text() for p in mine.iterdir()} == {name: "years of work"}


def test_a_run_that_has_lost_its_manifest_is_named_and_run_afresh(shell, made):
    run, arguments = made
    (run / "manifest.json").unlink()
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    whole = rows(run)
    assert status(run) == "damaged"
    with pytest.warns(UserWarning, match=f"left out: {run}: manifest.json is lost"):
        assert str(run) not in set(load_runs(run.parents[2])["path"])
    again = shell.done(*arguments)
    assert f"damaged, so run afresh (what was there is in damaged/): {run}\n" in again.out
    aside = {p.name: p.read_bytes() for p in (run / "damaged/1").iterdir()}
    assert aside == {name: content for name, content in before.items() if name != "lock"}
    assert (manifest(run)["status"], rows(run)) == ("complete", whole)


def test_a_file_beside_a_stale_run_stays(shell, made):
    run, arguments = made
    (run / "notes.txt").write_text("years of work")
    before = {p.name for p in run.iterdir()}
    again = shell.run(*arguments, "task.init.learning_rate=0.01")  # complete: nothing to clear
    assert "complete already" in again.out
    (run / "metrics.csv").write_text("")
    refused = shell.refused(*arguments)
    assert "holds notes.txt, which this program did not write" in refused
    assert {p.name for p in run.iterdir()} == before


def test_checkpoints_that_a_kill_at_the_end_left_go_with_the_next_command(shell, made):
    run, arguments = made
    (run / "checkpoint").mkdir()
    (run / "checkpoint/00000001.ckpt").write_bytes(bytes(100))
    assert "complete already" in shell.run(*arguments).out
    assert not (run / "checkpoint").exists()


@pytest.mark.parametrize("name", ["best_model.pt", "mine.ckpt"])
def test_what_lies_among_the_checkpoints_stays(shell, made, name):
    run, arguments = made
    (run / "checkpoint").mkdir()
    (run / "checkpoint" / name).write_text("years of work")
    shell.run(*arguments)
    assert (run / "checkpoint" / name).read_text() == "years of work"


def test_a_copy_is_no_run_of_another_seed(shell, made):
    run, arguments = made
    copy = shutil.copytree(run, run.with_name("seed=1"))
    with pytest.warns(UserWarning, match="seed=1: it is a copy of seed=0; run it again"):
        frame = load_runs(run.parents[2])
    assert set(frame["path"]) == {str(run)}
    again = shell.run(*arguments, "seed=1")
    assert f"damaged, so run afresh (what was there is in damaged/): {copy}\n" in again.out
    assert manifest(copy)["seed"] == 1
    assert rows(copy) != rows(run)


MANIFESTS = {
    "nested": "[" * 200_000,
    "no seed": '{"seed": "one"}',
    "no experiment": '{"experiment": null, "variant": 3}',
    "odd modules": '{"source_modules": [["a"]]}',
    "odd data": '{"data": "x", "status": "complete"}',
    "odd checksums": '{"checksums": ["a"]}',
}


def test_odd_manifests_block_no_other_run(shell, made):
    run, arguments = made
    whole = rows(run)
    others = [run.with_name(f"seed={seed}") for seed in range(1, len(MANIFESTS) + 1)]
    for other, text in zip(others, MANIFESTS.values(), strict=True):
        shutil.copytree(run, other)
        (other / "manifest.json").write_text(text)
    with pytest.warns(UserWarning, match="left out: ") as said:
        assert set(load_runs(run.parents[2])["path"]) == {str(run)}
    assert [str(one.message).split(": ")[1] for one in said] == [str(other) for other in others]
    every = ",".join(map(str, range(len(MANIFESTS) + 1)))
    again = shell.run("-m", *arguments, f"seed={every}")
    assert (again.code, again.err) == (0, "")
    assert again.out.count("complete already") == 1
    assert rows(run) == whole


def test_a_run_that_another_process_has_is_put_off_and_no_failure(shell, made, tmp_path):
    run, arguments = made
    lock = RunLock(run / "lock")
    shutil.rmtree(run)
    run.mkdir()
    lock.acquire()
    sweep = ["-m", *arguments, "seed=0,1"]
    both = shell.run(*sweep)
    assert (both.code, both.err) == (0, "")
    assert f"put off: run {run} is being written by process" in both.out
    assert f"left to it: run {run} is being written by process" in both.out
    assert not (run / "manifest.json").exists()
    assert manifest(runs(tmp_path)["local/1"])["status"] == "complete"
    alone = shell.run(*arguments)
    assert (alone.code, alone.err.count("\n")) == (75, 1)
    lock.release()
    shell.done(*sweep)
    assert set(runs(tmp_path)) == {"local/0", "local/1"}


def test_jax_has_its_defaults_whatever_its_surroundings_say():
    (job,) = jobs(["device=cpu"], sweep=False)
    settings = Settings(**chosen_settings(job.config.device, "cpu"))
    others = {
        "jax_default_prng_impl": "rbg",
        "jax_threefry_partitionable": False,
        "jax_random_seed_offset": 3,
        "jax_numpy_rank_promotion": "raise",
        "jax_numpy_dtype_promotion": "strict",
    }
    names = (*PINNED, "jax_enable_x64", "jax_default_matmul_precision")
    before = {name: jax.config.values[name] for name in names}
    try:
        for name, value in others.items():
            jax.config.update(name, value)
        use_precision(job.config, settings)
        for name in others:
            value: Any = jax.config.values[name]
            assert getattr(value, "value", value) == PINNED[name]
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


SURROUNDINGS = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "3",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_ENABLE_X64": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "0",
}


@pytest.mark.slow  # starts two programs
def test_numbers_are_the_same_whatever_the_surroundings_say(tmp_path, monkeypatch):
    found = []
    for name, more in (("plain", {}), ("odd", SURROUNDINGS)):
        for key in SURROUNDINGS:
            monkeypatch.delenv(key, raising=False)
        for key, value in more.items():
            monkeypatch.setenv(key, value)
        command = [sys.executable, ROOT / "scripts/train.py", *TINY, "method=local"]
        output = tmp_path / name
        subprocess.run([*command, f"output_dir={output}"], check=True, cwd=ROOT, timeout=300)
        (run,) = runs(output).values()
        found.append(rows(run))
        options = manifest(run)["surroundings"]["options"]
        assert {key: options.get(key) for key in more} == more
    assert found[0] == found[1]
    assert json.dumps(found[0]) == json.dumps(found[1])
