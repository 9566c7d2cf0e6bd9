"""Runs from another machine count once they are here as they were written."""

import shutil

import numpy as np
import pytest

from glocal_exp.app import merge
from glocal_exp.app.merge import bring
from glocal_exp.errors import BusyError, UserError
from glocal_exp.store import RunDirectory, find_runs
from glocal_exp.store.studies import load_study
from tests.report.synthetic import write_run, write_study


@pytest.fixture
def there(tmp_path):
    """An output folder elsewhere, with two complete runs and one that is not."""
    runs = tmp_path / "there" / "runs"
    paths = [write_run(runs, "many", "none", seed, steps=300) for seed in range(2)]
    return [*paths, write_run(runs, "many", "none", 2, steps=300, stop_at=1)]


def states(root):
    return {run.seed: run.status for run in find_runs(root)}


def merged(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        merge.main([str(tmp_path / "there"), "--into", str(tmp_path / "here")])
    return ended.value.code, capsys.readouterr()


def test_complete_runs_come_over_and_the_rest_is_named(there, tmp_path, capsys):
    code, said = merged(tmp_path, capsys)
    assert (code, said.out) == (1, "2 copied, 1 left out\n")
    assert said.err == f"error: {there[2]} is partial; only complete runs are copied.\n"
    here = tmp_path / "here" / "runs"
    assert states(here) == {0: "complete", 1: "complete"}
    assert [entry.name for entry in here.iterdir()] == ["many"], "nothing temporary stays"
    for path in there[:2]:
        copy = here.joinpath(*path.parts[-3:])
        for file in path.iterdir():
            assert (copy / file.name).read_bytes() == file.read_bytes()
    shutil.rmtree(there[2])
    assert merged(tmp_path, capsys)[1].out == "2 there already\n"


def test_studies_come_over_too(tmp_path, capsys):
    rows = {"a": [{"x": 1.0}], "b": ([{"x": 2.0}], {"h": np.eye(2)})}
    write_study(tmp_path / "there/studies", "noise", rows)
    assert merged(tmp_path, capsys)[1].out == "1 copied\n"
    studies = [tmp_path / place / "studies" for place in ("there", "here")]
    there, here = (load_study(root, "noise").drop(columns="folder") for root in studies)
    assert here.equals(there)
    assert merged(tmp_path, capsys)[1].out == "1 there already\n"
    next(studies[1].glob("*/*/*/units/a.csv")).write_text("changed")
    code, said = merged(tmp_path, capsys)
    assert code == 1
    assert "has units of its own" in said.err


def test_what_has_lost_its_manifest_here_is_set_aside(there, tmp_path):
    here = tmp_path / "here" / "runs"
    assert bring(there[0], here)
    place = here.joinpath(*there[0].parts[-3:])
    (place / "manifest.json").unlink()
    (place / "metrics.csv").write_text("precious")
    assert bring(there[0], here)
    assert states(here) == {0: "complete"}
    assert (place / "damaged/1/metrics.csv").read_text() == "precious"


def test_a_changed_digit_does_not_come_over(there, tmp_path, capsys):
    file = there[0] / "metrics.csv"
    file.write_text(file.read_text().replace("0.5", "0.6", 1))
    assert f"error: {there[0]} is damaged" in merged(tmp_path, capsys)[1].err
    assert states(tmp_path / "here" / "runs") == {1: "complete"}


def test_what_changes_on_the_way_does_not_come_over(there, tmp_path, monkeypatch):
    copied = shutil.copytree

    def torn(source, target, **options):
        copied(source, target, **options)
        (target / "metrics.csv").write_text("")

    monkeypatch.setattr("shutil.copytree", torn)
    with pytest.raises(UserError, match=r"did not arrive as it was written: metrics\.csv changed"):
        bring(there[0], tmp_path / "here")
    assert states(tmp_path / "here") == {}


def test_what_is_begun_here_gives_way_unless_a_process_is_at_it(there, tmp_path):
    here = tmp_path / "here"
    place = write_run(here, "many", "none", 0, steps=300, stop_at=1)
    with RunDirectory(place), pytest.raises(BusyError):
        bring(there[0], here)
    assert states(here) == {0: "partial"}
    assert bring(there[0], here)
    assert states(here) == {0: "complete"}
