"""A stored run whose numeric source is older is trained again, and compared."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from glocal_exp.app.replay import compare, outdated, outdated_studies
from glocal_exp.store import find_runs
from glocal_exp.store.status import add_replays, read_replays
from glocal_exp.store.studies import study_directories
from tests.sealing import reseal

from .commands import TOY, Shell, manifest


@pytest.fixture(scope="module")
def current(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of one run."""
    output = tmp_path_factory.mktemp("current")
    assert shell.run(*TOY, "source=bundled", "seed=3", f"output_dir={output}").code == 0
    return output


@pytest.fixture
def stored(current, tmp_path):
    """A run of an older source."""
    shutil.copytree(current, tmp_path, dirs_exist_ok=True)
    (run,) = find_runs(tmp_path / "runs")
    edit(run.path, source_hash="0123456789abcdef")
    return run.path


def edit(run, **fields):
    reseal(run, **fields)


@pytest.fixture
def replay(shell: Shell, stored):
    def replay(*options):
        root = stored.parents[2]
        output = f"--output={root}/replays.json"
        done = shell.run(str(root), output, "--module=tests.app.toy", *options, script="replay")
        return done.code, done.out + done.err, read_replays(root / "replays.json")

    return replay


def test_a_run_that_comes_out_the_same_is_noted(stored, replay):
    code, text, replays = replay("--intervals=2")
    assert code == 0
    assert "agrees: " in text
    (found,) = replays
    (((_, current), _),) = outdated(find_runs(stored.parents[2]))
    assert (found["stored"], found["current"]) == ("0123456789abcdef", current)
    assert set(found["differences"]) == {"loss", "hyperparameter", "hypergradient"}
    assert max(found["differences"].values()) < 1e-6


def test_a_run_that_comes_out_otherwise_is_not(stored, replay):
    frame = pd.read_csv(stored / "metrics.csv")
    frame.loc[1, "hypergradient/learning_rate"] *= 1.1
    frame.to_csv(stored / "metrics.csv", index=False)
    reseal(stored)
    code, text, replays = replay()
    assert code == 1
    assert "differs: " in text
    assert replays == []


def test_other_images_are_no_comparison(stored, replay):
    data = manifest(stored)["data"] | {"fingerprint": "another"}
    edit(stored, data=data)
    code, text, replays = replay()
    assert code == 2
    assert "was trained on other images" in text
    assert "Traceback" not in text
    assert replays == []


@pytest.fixture
def study(shell: Shell, tmp_path: Path) -> Path:
    """A study of an older source, and no runs beside it."""
    words = ["study=noise", "study.draws=2", "study.levels=[0.01]", "study.decays=[0.5]"]
    assert shell.run(*words, "seed=3", f"output_dir={tmp_path}", script="study").code == 0
    (folder,) = study_directories(tmp_path / "studies")
    (tmp_path / "runs").mkdir()
    return reseal(folder, source_hash="0123456789abcdef")


@pytest.fixture
def replay_studies(shell: Shell, tmp_path: Path):
    def replay(*options):
        output = tmp_path / "replays.json"
        words = [str(tmp_path / "runs"), f"--output={output}", *options]
        done = shell.run(*words, script="replay")
        return done.code, done.out + done.err, read_replays(output)

    return replay


def test_a_study_that_comes_out_the_same_is_noted(study, replay_studies):
    code, text, replays = replay_studies("--units=2")
    assert code == 0, text
    assert f"agrees: noise/{study.parent.name}/seed=3: study 0.0e+00" in text
    ((sources, folders),) = outdated_studies(study.parents[2])
    assert folders == [study]
    (found,) = replays
    assert (found["stored"], found["current"]) == sources
    assert found["units"] == ["even-default", "even-total_least_squares"]
    reseal(study, source_hash=sources[1])
    assert outdated_studies(study.parents[2]) == []


@pytest.mark.parametrize("name", ["config.yaml", "units/even-default.csv"])
def test_a_damaged_study_is_not_measured_again(study, replay_studies, name):
    (study / name).write_text("torn")
    code, text, replays = replay_studies()
    assert (code, replays) == (0, [])
    assert "is stale by its source alone" in text


@pytest.mark.parametrize("row", [{"last": "1e3"}, {"system": "odd"}, {"draws": "nan"}])
def test_a_study_that_comes_out_otherwise_is_not(study, replay_studies, row):
    file = study / "units" / "even-default.csv"
    frame = pd.read_csv(file, dtype=str).assign(**row)
    frame.to_csv(file, index=False)
    reseal(study)
    code, text, replays = replay_studies("--units=1")
    assert (code, replays) == (1, [])
    assert "differs: noise/" in text


def test_what_is_current_needs_no_replay(current):
    assert outdated(find_runs(current / "runs")) == []


@pytest.mark.parametrize(
    ("name", "new", "old", "expected"),
    [
        ("test_loss", 2.0, 1.9, {"loss": 0.05}),
        ("test_accuracy", 0.5, 0.25, {"accuracy": 0.25}),  # not relative
        ("hypergradient/momentum", -1.0, 1.0, {"hypergradient": 2.0}),
        ("hyperparameter/momentum", 0.0, 0.0, {"hyperparameter": 0.0}),
        ("train_loss", float("nan"), float("nan"), {}),
        ("train_loss", float("nan"), 1.0, {"loss": float("inf")}),
        ("train_loss", 1.0, float("nan"), {"loss": float("inf")}),
        ("seconds", 1.0, 5.0, {}),
    ],
)
def test_differences_are_relative_but_for_accuracies(name, new, old, expected):
    found = compare({name: new}, {name: old})
    assert found == {kind: pytest.approx(value) for kind, value in expected.items()}


def test_what_another_process_has_noted_meanwhile_stays(tmp_path):
    file = tmp_path / "replays.json"
    assert read_replays(file) == []
    file.write_text('[{"stored": "a", "current": "b"}]')
    add_replays([{"stored": "b", "current": "c"}], file)
    assert [replay["stored"] for replay in read_replays(file)] == ["a", "b"]


def test_what_was_not_stored_differs():
    assert compare({"test_loss": 1.0}, {"seed": 0}) == {"loss": float("inf")}
