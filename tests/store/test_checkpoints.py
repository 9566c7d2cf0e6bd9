import errno
import os

import pytest

from glocal_exp.errors import UserError
from glocal_exp.store.checkpoints import Checkpoints


@pytest.fixture
def saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoint")
    for content in (b"first", b"second", b"third" * 1000):
        checkpoints.save(content)
    return checkpoints


def files(checkpoints):
    return sorted(checkpoints.directory.iterdir())


def test_the_last_two_are_kept_newest_first(saved):
    assert list(saved.load()) == [b"third" * 1000, b"second"]
    assert len(files(saved)) == 2


def test_numbers_go_on_after_a_restart(saved):
    again = Checkpoints(saved.directory)
    again.save(b"fourth")
    assert list(again.load()) == [b"fourth", b"third" * 1000]


@pytest.mark.parametrize("cut", [0, 5, 30, 60, 5051])
def test_a_torn_one_is_passed_over(saved, cut):
    newest = files(saved)[-1]
    newest.write_bytes(newest.read_bytes()[:cut])
    assert list(saved.load()) == [b"second"]


@pytest.mark.parametrize("place", [0, 25, 60, -1])
def test_one_flipped_bit_is_noticed(saved, place):
    newest = files(saved)[-1]
    content = bytearray(newest.read_bytes())
    content[place] ^= 1
    newest.write_bytes(content)
    assert list(saved.load()) == [b"second"]


def test_empty_content_and_no_directory(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoint")
    assert list(checkpoints.load()) == []
    checkpoints.save(b"")
    assert list(checkpoints.load()) == [b""]
    checkpoints.remove()
    assert not checkpoints.directory.exists()


def test_a_full_disk_costs_no_old_checkpoint(saved, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full"):
        saved.save(b"fourth")
    assert list(saved.load()) == [b"third" * 1000, b"second"]
    assert len(files(saved)) == 2
