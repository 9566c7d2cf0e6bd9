import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from glocal_exp.store import RunDirectory, find_runs, load_runs, run_path

from .examples import record


@pytest.fixture
def root(tmp_path):
    """Two experiments, two methods, two seeds; glocal's seed 1 of `b` stopped early."""
    for experiment, rate in (("a", 0.1), ("b", 0.01)):
        for method in ("none", "glocal"):
            for seed in (0, 1):
                path = run_path(tmp_path, experiment, f"{method}-0123abcd", seed)
                with mock.patch("os.fsync"), RunDirectory(path) as directory:
                    directory.write_config(
                        f"steps: 200\ntask: {{init: {{learning_rate: {rate}}}}}\n"
                    )
                    directory.update_manifest(
                        experiment=experiment, method=method, seed=seed, config_hash="0123abcd",
                        variant=f"{method}-0123abcd", dataset="fmnist", diverged=seed == 1,
                        device={"platform": "cpu", "name": "CPU"}, from_the_future={"x": 1},
                        data={"title": "Fashion-MNIST", "notice": ""},
                    )  # fmt: skip
                    stopped = (experiment, method, seed) == ("b", "glocal", 1)
                    for step in range(2 if stopped else 3):
                        directory.append(record(step, seed, arrays=step == 1))
                    if not stopped:
                        directory.complete()
    return tmp_path


def test_all_records_in_one_frame(root):
    frame = load_runs(root, config=["task.init.learning_rate", "no.such"])
    assert len(frame) == 4 * 3 + 3 * 3 + 2
    one = frame[(frame.experiment == "b") & (frame.method == "none") & (frame.seed == 1)]
    assert one["test_accuracy"].tolist() == [
        record(s, 1).metrics["test_accuracy"] for s in range(3)
    ]
    assert one["outer_step"].tolist() == [0, 1, 2]
    row = one.iloc[0]
    assert (row["status"], row["steps"], row["device"]) == ("complete", 200, "CPU")
    assert (row["title"], row["notice"], row["dataset"]) == ("Fashion-MNIST", "", "fmnist")
    assert row["config/task.init.learning_rate"] == 0.01
    assert row["config/no.such"] is None or np.isnan(row["config/no.such"])
    assert bool(row["run_diverged"])
    assert not row["diverged"]
    assert Path(row["path"]) == root / "b" / "none-0123abcd" / "seed=1"


def test_runs_come_in_order_whatever_the_file_system_says(root):
    found = [(run.experiment, run.method, run.seed) for run in find_runs(root)]
    expected = [(e, m, s) for e in "ab" for m in ("glocal", "none") for s in (0, 1)]
    assert found == expected


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({"experiment": "a"}, 4),
        ({"experiment": "a", "method": ["none", "local"]}, 2),
        ({"task.init.learning_rate": 0.01}, 4),
        ({"task.init.learning_rate": [0.01, 0.1], "seed": 0}, 4),
        ({"status": "partial"}, 1),
        ({"steps": 200, "run_diverged": True}, 4),
        ({"from_the_future.x": 1}, 8),
        ({"steps": 201}, 0),
        ({"no.such": 1}, 0),
    ],
)
def test_where(root, where, count):
    assert len(find_runs(root, where)) == count


def test_arrays_are_there_when_asked_for(root):
    run = find_runs(root, {"experiment": "a", "method": "glocal", "seed": 1})[0]
    np.testing.assert_array_equal(
        run.arrays()["s1/trajectory"], record(1, 1, arrays=True).arrays["trajectory"]
    )


def test_a_renamed_variant_is_stale(root):
    (root / "a" / "none-0123abcd").rename(root / "a" / "none-ffffffff")
    states = {run.path.parent.name: run.status for run in find_runs(root, {"experiment": "a"})}
    assert states == {"none-ffffffff": "stale", "glocal-0123abcd": "complete"}


def test_older_source_is_stale(root, monkeypatch):
    path = run_path(root, "a", "none-0123abcd", 0)
    with RunDirectory(path) as directory:
        directory.update_manifest(source_modules=["glocal_exp.koopman"], source_hash="older")
    where = {"experiment": "a", "method": "none", "seed": 0}
    assert find_runs(root, where)[0].status == "stale"
    assert find_runs(root, where, check_source=False)[0].status == "complete"
    with RunDirectory(path) as directory:
        directory.update_manifest(source_modules=["glocal_exp.gone"])
    assert find_runs(root, where)[0].status == "stale"


@pytest.mark.parametrize(
    ("variant", "seed", "text", "said"),
    [
        ("none", 0, "a: [1,", r"config\.yaml changed"),
        ("glocal", 1, "a: [1,", r"cannot read .*config\.yaml"),  # partial, so without checksums
        ("glocal", 1, "no mapping", r"cannot read .*config\.yaml"),
    ],
)
def test_a_bad_config_is_named(root, variant, seed, text, said):
    path = run_path(root, "b", f"{variant}-0123abcd", seed)
    (path / "config.yaml").write_text(text)
    with pytest.warns(UserWarning, match=rf"(?=.*{variant}-0123abcd).*{said}"):
        frame = load_runs(root, config=["a"])
    assert str(path) not in set(frame["path"])
    assert len(frame)


def test_what_is_not_ascii_is_read_whatever_the_locale(root):
    path = run_path(root, "a", "none-0123abcd", 0)
    with RunDirectory(path) as directory:
        directory.write_config("steps: 200\ntitle: mètre\n")
        directory.append(replace(record(7), hyperparameters={"η": 0.5}))
    program = (
        "import sys\nfrom glocal_exp.store import load_runs\n"
        "where = {'experiment': 'a', 'method': 'none', 'seed': 0}\n"
        "frame = load_runs(sys.argv[1], where, ['title'])\n"
        "print(ascii([float(frame['hyperparameter/\\u03b7'].max()), frame['config/title'].max()]))"
    )
    variables = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with RunDirectory(path) as directory:
        directory.complete()
    command = [sys.executable, "-c", program, root]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.stdout == "[0.5, 'm\\xe8tre']\n", done.stderr


def test_nothing_stored(tmp_path):
    assert find_runs(tmp_path / "nowhere") == []
    frame = load_runs(tmp_path)
    assert frame.empty
    assert "experiment" in frame
