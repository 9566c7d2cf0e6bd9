"""Studies from the command line: one class and one config file each, measured once."""

import json
from pathlib import Path

import jax
import pandas as pd
import pytest

from glocal_exp.store.studies import load_study
from tests.sealing import reseal

from .commands import TOY, Shell


@pytest.fixture
def configs(tmp_path) -> Path:
    """A folder with configs of one's own, besides those of the repository."""
    folder = tmp_path / "configs" / "study"
    folder.mkdir(parents=True)
    (folder / "draws.yaml").write_text("_target_: tests.app.toy.Draws\nnumber: 3\nfails_at: null\n")
    (folder / "sizes.yaml").write_text("_target_: tests.app.toy.Sizes\n")
    return folder.parent


def study(shell: Shell, configs: Path, output: Path, *arguments: str):
    path = f"hydra.searchpath=[file://{configs}]"
    return shell.run(path, f"output_dir={output}", *arguments, script="study")


def test_a_study_is_one_class_and_one_config(shell: Shell, configs: Path, tmp_path: Path):
    command = study(shell, configs, tmp_path, "-m", "study=draws", "seed=0,1", "study.number=2")
    assert command.code == 0, command.err
    frame = load_study(tmp_path / "studies", "draws")
    assert list(frame.number) == [0, 1, 0, 1]
    assert frame.value.nunique() == 4
    manifests = list(tmp_path.glob("studies/draws/*/seed=*/manifest.json"))
    assert len(manifests) == 2
    facts = json.loads(manifests[0].read_text())
    assert facts["status"] == "complete"
    assert facts["packages"]["numpy"]


def test_what_training_is_set_to_does_not_count_where_nothing_trains(
    shell: Shell, configs: Path, tmp_path: Path
):
    for steps in (100, 200):
        command = study(shell, configs, tmp_path, "study=draws", f"steps={steps}")
        assert command.code == 0, command.err
    assert "3 of 3 units are stored" in command.out
    assert len(list(tmp_path.glob("studies/draws/*"))) == 1


def test_a_study_goes_on_where_it_stopped(shell: Shell, configs: Path, tmp_path: Path):
    broken = study(shell, configs, tmp_path, "study=draws", "study.fails_at=2")
    assert (broken.code, broken.err) == (2, "error: draw 2 fails.\n")
    (folder,) = tmp_path.glob("studies/draws/*/seed=0")
    assert json.loads((folder / "manifest.json").read_text())["status"] == "partial"
    first = folder / "units" / "draw0.csv"
    first.write_text("number,value\n0,77.0\n")  # to see whether it is measured again
    reseal(folder)
    again = study(shell, configs, tmp_path, "study=draws", "study.fails_at=2")
    assert "2 of 3 units are stored" in again.out
    assert pd.read_csv(first).value[0] == 77.0
    first.write_text("number,value\n0,78.0\n")  # by another hand
    again = study(shell, configs, tmp_path, "study=draws", "study.fails_at=2")
    assert "1 of 3 units are stored" in again.out
    assert pd.read_csv(first).value[0] != 78.0


def test_units_of_another_source_are_called_stale(shell: Shell, configs: Path, tmp_path: Path):
    assert study(shell, configs, tmp_path, "study=draws").code == 0
    (folder,) = tmp_path.glob("studies/draws/*/seed=0")
    reseal(folder, source_hash="0" * 16)
    again = study(shell, configs, tmp_path, "study=draws")
    said = f"stale, so measured afresh: {folder} (what was there is in units-{'0' * 16}/)\n"
    assert said in again.out
    assert len([*folder.glob("units-*/*.csv")]) == len([*folder.glob("units/*.csv")]) == 3


def test_a_study_runs_on_the_device_that_is_asked_for(shell: Shell, configs: Path, tmp_path: Path):
    command = study(shell, configs, tmp_path, "study=draws", "device=cpu", "device.segment=7")
    assert command.code == 0, command.err
    (file,) = tmp_path.glob("studies/draws/*/seed=0/manifest.json")
    device = json.loads(file.read_text())["device"]
    assert (device["platform"], device["segment"]) == ("cpu", 7)
    if jax.default_backend() == "cpu":  # once JAX runs on a GPU, the CPU cannot be had either
        refused = study(shell, configs, tmp_path / "gpu", "study=draws", "device=gpu")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "device=gpu cannot be had" in refused.err
        assert not (tmp_path / "gpu").exists()


def test_a_study_of_training_gets_its_setting(shell: Shell, configs: Path, tmp_path: Path):
    for seed in (0, 1):
        command = study(shell, configs, tmp_path, *TOY, "study=sizes", f"seed={seed}")
        assert command.code == 0, command.err
    frame = load_study(tmp_path / "studies", "sizes")
    assert list(frame.validation) == [20, 20]
    assert list(frame.steps) == [80, 80]
    command = study(shell, configs, tmp_path, *TOY, "study=sizes", "batch_size=5")
    assert command.code == 0, command.err
    assert len(list(tmp_path.glob("studies/sizes/*"))) == 2  # another setting, another place


def test_a_study_may_change_the_setting(shell: Shell, configs: Path, tmp_path: Path):
    other = "study.other={validation.size: 10}"
    command = study(shell, configs, tmp_path, *TOY, "study=sizes", f"+{other}")
    assert command.code == 0, command.err
    frame = load_study(tmp_path / "studies", "sizes")
    assert (frame.validation.item(), frame.other.item()) == (20, 10)
    wrong = study(shell, configs, tmp_path, *TOY, "study=sizes", "+study.other={model.size: 10}")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "model.size" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No study is named; give study=ID, one of "),
        (["study=fidelty"], "did you mean fidelity?"),
        (["study=draws", "study.number=many"], "study.number=many should be a whole number"),
        (["study=draws", "study.size=3"], "study.size"),
        (["study=draws", "seed=-1"], "out of range"),
        (["study=draws", "device.cpu.segment=0.5"], "device.cpu.segment=0.5 should be a whole"),
        (["study=draws", "precision=float64"], "precision=float64 changes nothing of study=draws"),
        (["study=draws", "preset=smoke"], "preset=smoke changes nothing of study=draws"),
        (["study=fidelity", "steps=150"], "not a multiple of interval"),
        (["study=fidelity", "study.outer_steps=[0]"], "intervals from 1 on"),
    ],
)
def test_mistakes_end_in_a_sentence(shell: Shell, configs, tmp_path, arguments, said):
    command = study(shell, configs, tmp_path / "out", *arguments)
    assert command.code == 2
    assert command.err.startswith("error: ")
    assert said in command.err
    assert command.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_study_is_no_training_run(shell: Shell, tmp_path: Path):
    command = shell.run("study=fidelity", f"output_dir={tmp_path / 'out'}")
    assert (command.code, command.err.count("\n")) == (2, 1)
    assert "`glocal study`" in command.err


def test_help_lists_the_studies(shell: Shell):
    command = shell.run("--help", script="study")
    assert command.code == 0
    assert "fidelity" in command.out
