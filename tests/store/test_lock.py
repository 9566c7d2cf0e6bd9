import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from glocal_exp.errors import UserError
from glocal_exp.store import RunDirectory
from glocal_exp.store import lock as lock_module
from glocal_exp.store.lock import RunLock, holder
from glocal_exp.store.status import status

HOLD = """
import sys, time
from glocal_exp.store.lock import RunLock
lock = RunLock(sys.argv[1]); lock.acquire(); print("held", flush=True); time.sleep(60)
"""


def test_a_second_process_is_told_who_holds_the_run_until_that_one_dies(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    lock = RunLock(tmp_path / "lock")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"is being written by process {other.pid}; wait for"):
            lock.acquire()
        assert holder(tmp_path / "lock") == str(other.pid)
        assert status(tmp_path) == "running"
        other.kill()
    assert holder(tmp_path / "lock") is None
    assert status(tmp_path) == "missing"
    lock.acquire()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_release_removes_the_file_and_frees_the_run(tmp_path):
    first, second = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(UserError):
        second.acquire()
    first.release()
    first.release()
    assert not (tmp_path / "lock").exists()
    second.acquire()
    first.release()
    assert holder(tmp_path / "lock") == str(os.getpid())
    second.release()
    assert holder(tmp_path / "lock") is None


def test_asking_never_keeps_a_writer_out(tmp_path, monkeypatch):
    """Whoever asks for the status holds a shared lock for a moment; the writer tries again."""
    (tmp_path / "lock").touch()
    asking = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    monkeypatch.setattr(lock_module.time, "sleep", lambda _: fcntl.flock(asking, fcntl.LOCK_UN))
    lock = RunLock(tmp_path / "lock")
    lock.acquire()
    assert holder(tmp_path / "lock") == str(os.getpid())
    lock.release()
    os.close(asking)


def test_a_file_removed_while_it_is_being_locked_is_not_the_lock(tmp_path, monkeypatch):
    """The last holder removes the file between another's opening and locking of it."""
    first, second, third = (RunLock(tmp_path / "lock") for _ in range(3))
    first.acquire()
    flock = lock_module._flock

    def released_meanwhile(descriptor, kind):
        first.release()
        return flock(descriptor, kind)

    with monkeypatch.context() as patch:
        patch.setattr(lock_module, "_flock", released_meanwhile)
        second.acquire()
    assert (tmp_path / "lock").exists()
    with pytest.raises(UserError):
        third.acquire()
    second.release()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / "lock").touch()
    monkeypatch.setattr(lock_module.fcntl, "flock", without)
    assert status(tmp_path) == "missing"
    with pytest.raises(UserError, match="No locks available; choose another output_dir"):
        RunDirectory(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"years of work"])
def test_another_programs_lock_stays(tmp_path, content):
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(UserError, match="holds lock, which this program did not write"):
        RunDirectory(tmp_path)
    assert (tmp_path / "lock").read_bytes() == content


def test_files_that_another_process_removes_meanwhile_are_nobodys(tmp_path, monkeypatch):
    (tmp_path / "lock").touch()
    entries = Path.iterdir

    def removed(path):
        found = list(entries(path))
        (tmp_path / "lock").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Path, "iterdir", removed)
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="running")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not read")
def test_a_directory_that_may_not_be_read():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chmod(folder, 0o333)
        os.seteuid(65534)
        try:
            with pytest.raises(UserError, match="permission denied; choose another output_dir"):
                RunDirectory(folder)
        finally:
            os.seteuid(0)
