import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.store import RunDirectory, run_path, status
from glocal_exp.store.files import read_arrays, read_frame
from glocal_exp.store.status import stored_status

from .examples import record

# What the engine does, without the engine: goes on after the newest checkpoint, and stores one
# record and then one checkpoint an outer step. The checkpoint is large, to be killed inside it.
# For each line on its input it forks one such process, which saves the time of the imports.
WORKER = """
import os, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from store.examples import record
from glocal_exp.store import RunDirectory

def work(directory):
    blobs = list(directory.load_checkpoints())
    done = int(blobs[0][:8]) if blobs else -1
    directory.truncate(done if blobs else None)
    directory.update_manifest(status="running", method="glocal")
    print(os.getpid(), done, flush=True)
    for step in range(done + 1, 41):
        directory.append(record(step, arrays=step % 10 == 1))
        directory.save_checkpoint(b"%08d" % step + bytes(3_000_000))
    directory.save_weights({"w": np.arange(3.0)})
    directory.complete()

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        with RunDirectory(sys.argv[1]) as directory:
            work(directory)
        os._exit(0)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


@pytest.fixture
def directory(tmp_path):
    with RunDirectory(tmp_path / "run") as opened:
        opened.update_manifest(status="running")
        yield opened


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path):
    path, done = tmp_path / "killed", []
    command = [sys.executable, "-c", WORKER, str(path), str(Path(__file__).parents[1])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        while status(path) != "complete":
            server.stdin.write("go\n")
            child, start = map(int, server.stdout.readline().split())
            done.append(start)
            if len(done) <= 7:
                wait_for_rows(path / "metrics.csv", start + 4)
                time.sleep(0.002 * len(done))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            assert server.stdout.readline() == "ended\n"
            if status(path) != "complete":
                assert status(path) == "partial"
                check_survivor(path)
    assert done == sorted(done)
    assert len(set(done)) > 3, "it went on from few places, so this tested nothing"

    whole = tmp_path / "whole"
    with RunDirectory(whole) as directory:
        for step in range(41):
            directory.append(record(step, arrays=step % 10 == 1))
    assert (path / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert (path / "arrays.npz").read_bytes() == (whole / "arrays.npz").read_bytes()
    left = sorted(entry.name for entry in path.iterdir())
    assert left == ["arrays.npz", "manifest.json", "metrics.csv", "weights.npz"]


def wait_for_rows(path, count, seconds=30.0):
    """Until the file has so many rows besides its header."""
    end = time.monotonic() + seconds
    while not path.exists() or path.read_bytes().count(b"\n") <= count:
        assert time.monotonic() < end, "the other process stores nothing"
        time.sleep(0.001)


def check_survivor(path):
    """No torn row, no gap, and records up to the newest checkpoint at least."""
    with RunDirectory(path) as survivor:
        last = survivor.last_outer_step
        steps = read_frame(path / "metrics.csv")["outer_step"].tolist()
        blobs = list(survivor.load_checkpoints())
    assert steps == list(range(len(steps)))
    assert not blobs or (last is not None and int(blobs[0][:8]) <= last)


def test_records_come_back_as_they_were(directory):
    records = [record(step, arrays=step == 1) for step in range(3)]
    for one in records:
        directory.append(one)
    frame = read_frame(directory.path / "metrics.csv")
    for column in ("test_accuracy", "hyperparameter/learning_rate", "seconds"):
        expected = [one.row()[column] for one in records]
        assert frame[column].tolist() == expected
    assert frame["test_loss"].isna().all()
    assert np.isnan(frame["hypergradient/learning_rate"][0])
    assert frame["skipped"].tolist() == [False] * 3
    assert frame["validation_gradients"].tolist() == [0, 80, 160]
    arrays = read_arrays(directory.path / "arrays.npz")
    assert sorted(arrays) == ["s1/eigenvalues", "s1/trajectory"]
    for name, array in records[1].arrays.items():
        np.testing.assert_array_equal(arrays[f"s1/{name}"], array, strict=True)


def test_truncate_takes_rows_and_arrays_back(directory):
    for step in range(5):
        directory.append(record(step, arrays=True))
    directory.truncate(2)
    assert read_frame(directory.path / "metrics.csv")["outer_step"].tolist() == [0, 1, 2]
    arrays = read_arrays(directory.path / "arrays.npz")
    assert {key.split("/")[0] for key in arrays} == {"s0", "s1", "s2"}
    assert directory.last_outer_step == 2
    directory.append(record(3))
    directory.truncate(None)
    assert directory.last_outer_step is None
    assert read_frame(directory.path / "metrics.csv").empty
    assert read_arrays(directory.path / "arrays.npz") == {}


def test_truncate_notices_records_that_are_gone(directory):
    directory.append(record(0))
    with pytest.raises(UserError, match="lacks the records up to outer step 3"):
        directory.truncate(3)


def test_records_come_in_order(directory):
    directory.append(record(1))
    with pytest.raises(ValueError, match="outer step 1 after 1"):
        directory.append(record(1))


def test_python_objects_are_no_arrays(directory):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        directory.save_weights({"w": np.array([{}], dtype=object)})
    assert not (directory.path / "weights.npz").exists()


def test_manifest_holds_numpy_and_is_updated(directory):
    directory.update_manifest(status="running", mean=np.float32(0.5), counts=np.arange(3))
    directory.update_manifest(status="interrupted")
    stored = json.loads((directory.path / "manifest.json").read_text())
    assert directory.manifest == stored
    assert len(stored.pop("seal")) == 64
    assert stored == {"status": "interrupted", "mean": 0.5, "counts": [0, 1, 2]}


def test_a_second_writer_is_refused_and_harms_nothing(directory):
    directory.append(record(0))
    with pytest.raises(UserError, match=f"is being written by process {os.getpid()}"):
        RunDirectory(directory.path)
    directory.append(record(1))
    assert read_frame(directory.path / "metrics.csv")["outer_step"].tolist() == [0, 1]


def test_a_full_disk_leaves_what_was_stored(directory, monkeypatch):
    directory.update_manifest(status="running")
    directory.append(record(0, arrays=True))

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for action in (
            lambda: directory.append(record(1)),
            lambda: directory.append(record(1, arrays=True)),
            lambda: directory.save_checkpoint(b"x"),
            lambda: directory.update_manifest(status="complete"),
            lambda: directory.save_weights({"w": np.zeros(3)}),
        ):
            with pytest.raises(UserError, match="the disk is full"):
                action()
    assert directory.last_outer_step == 0
    assert stored_status(directory.path) == "partial"
    directory.append(record(1, arrays=True))  # space was freed
    assert sorted(read_arrays(directory.path / "arrays.npz")) == [
        "s0/eigenvalues", "s0/trajectory", "s1/eigenvalues", "s1/trajectory",
    ]  # fmt: skip


def test_clear_starts_afresh_under_the_same_lock(directory):
    directory.update_manifest(status="complete", config_hash="0")
    directory.append(record(0, arrays=True))
    directory.save_checkpoint(b"x")
    directory.clear()
    assert [entry.name for entry in directory.path.iterdir()] == ["lock"]
    assert stored_status(directory.path) == "missing"
    assert directory.manifest == {}
    directory.append(record(0))
    assert status(directory.path) == "running"


def test_damaged_arrays_leave_no_place_to_go_on_from(tmp_path):
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="running")
        directory.append(record(0, arrays=True))
    whole = (tmp_path / "arrays.npz").read_bytes()
    (tmp_path / "arrays.npz").write_bytes(whole[: len(whole) // 2])
    with RunDirectory(tmp_path) as again:
        assert again.has_lost_its_place
    assert status(tmp_path) == "partial"  # not running


def test_the_path_is_a_function_of_its_names():
    path = run_path("outputs/runs", "fig2_sgd", "glocal-0123abcd", 2)
    assert path == Path("outputs/runs/fig2_sgd/glocal-0123abcd/seed=2")
