import contextlib
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.store import RunDirectory

from .examples import record


@pytest.fixture
def saved(tmp_path):
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="running", seed=0)
        for content in (b"first", b"second", b"third" * 1000):
            directory.save_checkpoint(content)
        yield directory


def files(directory):
    return sorted((directory.path / "checkpoint").iterdir())


def test_the_last_two_are_kept_newest_first(saved):
    assert list(saved.load_checkpoints()) == [b"third" * 1000, b"second"]
    assert len(files(saved)) == 2


def test_numbers_go_on_after_a_restart(saved):
    with saved:
        pass
    with RunDirectory(saved.path) as again:
        again.save_checkpoint(b"fourth")
        assert list(again.load_checkpoints()) == [b"fourth", b"third" * 1000]


@pytest.mark.parametrize("cut", [0, 5, 30, 60, 5051])
def test_a_torn_one_is_passed_over(saved, cut):
    newest = files(saved)[-1]
    newest.write_bytes(newest.read_bytes()[:cut])
    assert list(saved.load_checkpoints()) == [b"second"]


@pytest.mark.parametrize("place", [0, 25, 60, -1])
def test_one_flipped_bit_is_noticed(saved, place):
    newest = files(saved)[-1]
    content = bytearray(newest.read_bytes())
    content[place] ^= 1
    newest.write_bytes(content)
    assert list(saved.load_checkpoints()) == [b"second"]


def test_records_that_were_changed_cost_the_checkpoints_after_them(tmp_path):
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="running", seed=0)
        for outer_step in range(3):
            directory.append(record(outer_step, arrays=True))
            directory.save_checkpoint(b"after %d" % outer_step)
    text = (tmp_path / "metrics.csv").read_text()
    lines = text.splitlines(keepends=True)
    for changed, left in (
        (text, [b"after 2", b"after 1"]),
        ("".join([*lines[:3], lines[3].replace("200", "201")]), [b"after 1"]),
        ("".join(lines[:3]), [b"after 1"]),
        ("".join([lines[0], lines[1].replace("0", "1"), *lines[2:]]), []),
        ("", []),
    ):
        (tmp_path / "metrics.csv").write_text(changed)
        with RunDirectory(tmp_path) as again:
            assert list(again.load_checkpoints()) == left
            assert again.has_lost_its_place == (not left)
    (tmp_path / "metrics.csv").write_text(text)
    arrays = dict(np.load(tmp_path / "arrays.npz"))
    np.savez(tmp_path / "arrays.npz", **arrays | {"s2/trajectory": arrays["s1/trajectory"]})
    with RunDirectory(tmp_path) as again:
        assert list(again.load_checkpoints()) == [b"after 1"]


@pytest.mark.parametrize(
    "text", ["", "seed,step\n0,0\n", "outer_step,step\n0\n", "outer_step\nx\n"]
)
def test_records_that_cannot_be_read_leave_no_place(tmp_path, text):
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="interrupted", seed=0)
        directory.append(record(0))
        directory.save_checkpoint(b"after 0")
    (tmp_path / "metrics.csv").write_text(text)
    with RunDirectory(tmp_path) as again:
        assert again.has_lost_its_place


def test_what_is_set_aside_is_taken_up_wherever_that_was_stopped(tmp_path, monkeypatch):
    with RunDirectory(tmp_path / "run") as directory:
        directory.update_manifest(status="interrupted", seed=0)
        directory.write_config("a: 1\n")
        directory.append(record(0, arrays=True))
        directory.save_checkpoint(b"after 0")
    for lost in (True, False):
        for moved in range(6):
            path = tmp_path / f"{lost}-{moved}"
            shutil.copytree(tmp_path / "run", path)
            if lost:
                (path / "manifest.json").unlink()
            content = {entry.name for entry in path.iterdir()} - {"lock"}
            rename, done = Path.rename, []

            def stopped(entry, target, rename=rename, done=done, moved=moved):
                if len(done) == moved:
                    raise OSError(errno.ENOSPC, "No space left on device")
                done.append(entry)
                return rename(entry, target)

            with RunDirectory(path) as directory, monkeypatch.context() as patch:
                patch.setattr(Path, "rename", stopped)
                with contextlib.suppress(UserError):
                    directory.clear(keep=True)
            with RunDirectory(path) as directory:
                directory.clear(keep=True)
            kept = [entry.name for entry in path.glob("damaged/*/*")]
            assert sorted(kept) == sorted(content)
            with RunDirectory(path) as directory:
                directory.update_manifest(status="running", seed=0)


def test_what_was_set_aside_stays_though_an_older_folder_has_gone(tmp_path):
    for number in range(3):
        with RunDirectory(tmp_path) as directory:
            directory.update_manifest(status="failed", number=number)
            directory.clear(keep=True)
        if number == 1:
            shutil.rmtree(tmp_path / "damaged/1")
    kept = [json.loads(path.read_text())["number"] for path in tmp_path.glob("damaged/*/*.json")]
    assert sorted(kept) == [1, 2]


def test_empty_content_and_no_directory(tmp_path):
    with RunDirectory(tmp_path) as directory:
        assert list(directory.load_checkpoints()) == []
        directory.save_checkpoint(b"")
        assert list(directory.load_checkpoints()) == [b""]
        directory.complete()
    assert not (tmp_path / "checkpoint").exists()


def test_a_full_disk_costs_no_old_checkpoint(saved, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        saved.save_checkpoint(b"fourth")
    assert list(saved.load_checkpoints()) == [b"third" * 1000, b"second"]
    assert len(files(saved)) == 2
