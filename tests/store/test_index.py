"""The index of many runs: nothing but speed, and never what is no longer so."""

import json
import os
import shutil
import time

import pandas as pd
import pytest

from glocal_exp.report.comparison import compare
from glocal_exp.store import RunDirectory, find_runs, load_runs
from glocal_exp.store.index import INDEX, read_index, write_index
from glocal_exp.store.seal import sealed
from tests.report.synthetic import write_run

SECONDS = {"load_runs": 10.0, "compare": 3.0}  # of 10,000 runs, on an idle core


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three complete runs and one under way, with an index."""
    monkeypatch.setattr("glocal_exp.store.index.LEAST", 2)
    for seed in range(3):
        write_run(tmp_path, "many", "none", seed, steps=300)
    write_run(tmp_path, "many", "none", 3, steps=300, stop_at=2)
    listed(tmp_path)
    return tmp_path


def listed(root):
    runs = find_runs(root)
    compared = compare(runs)
    write_index(root, runs)
    return compared


def states(root):
    return {run.seed: run.status for run in find_runs(root)}


def test_it_holds_complete_runs_alone_and_says_the_same(root):
    known = read_index(root)
    assert [name.rpartition("=")[2] for name in known] == ["0", "1", "2"]
    assert all({"stamp", "manifest", "config", "ends"} == set(entry) for entry in known.values())
    with_it = (listed(root).frame(), load_runs(root, config=["steps"]))
    (root / INDEX).unlink()
    for one, other in zip(
        with_it, (listed(root).frame(), load_runs(root, config=["steps"])), strict=True
    ):
        pd.testing.assert_frame_equal(one, other)


def test_what_is_known_is_not_read_again(root, monkeypatch):
    def read(path):
        raise AssertionError(path)

    monkeypatch.setattr("glocal_exp.store.files.read_rows", read)
    assert [run.ends["step"] for run in find_runs(root, {"status": "complete"})] == [300] * 3


def test_a_changed_digit_is_found_though_size_and_time_stay(root):
    file = find_runs(root)[1].path / "metrics.csv"
    before, text = file.stat(), file.read_text()
    file.write_text(text.replace("0.5", "0.6", 1))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert states(root) == {0: "complete", 1: "damaged", 2: "complete", 3: "partial"}


def test_what_goes_on_or_is_gone_is_seen(root):
    first, _, third, _ = find_runs(root)
    shutil.rmtree(third.path)
    with RunDirectory(first.path):
        assert states(root) == {0: "running", 1: "complete", 3: "partial"}
    with RunDirectory(first.path) as directory:
        directory.update_manifest(status="failed")
    assert states(root) == {0: "failed", 1: "complete", 3: "partial"}


@pytest.mark.parametrize(
    "content",
    [
        *["", "[1]", "{", '{"RUN": {"stamp": 1}}', '{"values": [], "runs": {"RUN": {"stamp": 1}}}'],
        *['{"values": [], "runs": {"RUN": 1}}', '{"values": [1], "runs": {"RUN": {"config": 0}}}'],
        '{"values": [], "runs": {"RUN": {"manifest": {"status": 7}}}}',
    ],
)
def test_a_damaged_index_is_none(root, content):
    name = find_runs(root)[0].path.relative_to(root)
    (root / INDEX).write_text(content.replace("RUN", str(name)))
    assert len(listed(root).entries) == 4


def test_few_runs_have_none(tmp_path):
    write_run(tmp_path, "few", "none", 0, steps=300)
    listed(tmp_path)
    assert not (tmp_path / INDEX).exists()


@pytest.mark.slow
@pytest.mark.slow
def test_ten_thousand_runs(tmp_path):
    """100 variants of 100 seeds; in seconds of this process, whatever else the machine does."""
    for number in range(100):
        first = write_run(
            tmp_path, "many", "none", 0, start={"learning_rate": 0.001 * (1 + number)}, steps=1000
        )
        manifest = json.loads((first / "manifest.json").read_text())
        for seed in range(1, 100):
            path = first.with_name(f"seed={seed}")
            shutil.copytree(first, path, ignore=shutil.ignore_patterns("lock"))
            text = json.dumps(sealed(manifest | {"seed": seed}))
            (path / "manifest.json").write_text(text)
    listed(tmp_path)
    start = time.process_time()
    assert len(listed(tmp_path).sheet().data) == 100
    compared = time.process_time()
    assert len(load_runs(tmp_path)) == 11 * 10_000
    loaded = time.process_time()
    assert compared - start < SECONDS["compare"]
    assert loaded - compared < SECONDS["load_runs"]
