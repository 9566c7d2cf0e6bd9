import errno
import os
import resource

import pytest

from glocal_exp.errors import UserError
from glocal_exp.store.files import make_directory, remove_temporaries, write_atomically


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"old")
    return path


def names(directory):
    return sorted(os.listdir(directory))


def test_content_is_replaced_as_a_whole(old):
    write_atomically(old, b"new")
    assert old.read_bytes() == b"new"
    assert names(old.parent) == ["metrics.csv"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_one_sentence_and_leaves_the_old_file(old, monkeypatch, code):
    def full(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"^cannot write .*metrics.csv: the disk is full") as caught:
        write_atomically(old, b"new")
    assert "free some space" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert old.read_bytes() == b"old"
    assert names(old.parent) == ["metrics.csv"]


def test_a_real_refusal_of_the_kernel_in_the_middle_of_a_write(old):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(UserError, match="the disk is full"):
            write_atomically(old, bytes(3 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert old.read_bytes() == b"old"
    assert names(old.parent) == ["metrics.csv"]


def test_an_interrupt_leaves_the_old_file(old, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(old, b"new")
    assert old.read_bytes() == b"old"
    assert names(old.parent) == ["metrics.csv"]


def test_content_reaches_the_disk_before_the_name_does(old, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1]
        )
    write_atomically(old, b"new")
    assert calls == ["fsync", "replace", "fsync"]


def test_a_file_in_the_way_of_a_directory(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(UserError, match="a file is where a directory should be"):
        make_directory(tmp_path / "outputs" / "runs")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not write")
def test_a_directory_that_may_not_be_written(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    tmp_path.parent.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(UserError, match="permission denied; choose another output_dir"):
            make_directory(closed / "runs")
        with pytest.raises(UserError, match="permission denied"):
            write_atomically(closed / "config.yaml", b"x")
    finally:
        os.seteuid(0)
    assert names(closed) == []


def test_a_read_only_file_system_is_named(old, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("builtins.open", read_only)
    with pytest.raises(UserError, match="read-only file system; choose another output_dir"):
        write_atomically(old, b"new")


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / ".metrics.csv.123.tmp").write_bytes(b"half")
    (tmp_path / "checkpoint" / ".00000001.ckpt.123.tmp").write_bytes(b"half")
    (tmp_path / "metrics.csv").write_bytes(b"whole")
    remove_temporaries(tmp_path)
    assert names(tmp_path) == ["checkpoint", "metrics.csv"]
    assert names(tmp_path / "checkpoint") == []
