"""A sweep over processes of this machine: shares, kills, Ctrl-C, and runs that others have."""

import os
import re
import signal

import pytest

from glocal_exp.app.launchers import processes
from glocal_exp.app.launchers.started import Order
from glocal_exp.store.lock import RunLock
from tests.app.commands import assert_same, checkpoint, manifest, runs, until

from .sweeps import MOMENTS, Sweep, assert_whole, pid_in

TWO = ["launcher=processes", "launcher.n=2"]


@pytest.mark.parametrize(
    ("things", "n", "shares"),
    [
        ("abcd", 2, ["ab", "cd"]),
        ("abcde", 2, ["ab", "cde"]),
        ("ab", 3, ["a", "a", "b"]),
        ("a", 2, ["a", "a"]),
        ("", 2, []),
    ],
)
def test_shares_differ_by_one_at_most(things, n, shares):
    assert ["".join(share) for share in processes._shares(list(things), n)] == shares


NVIDIA_SMI = "#!/bin/sh\ntest $1 = --query-gpu=index && printf '0\\n1\\n2\\n'\n"


@pytest.mark.parametrize(
    ("visible", "n", "gpus", "memory"),
    [
        (None, 2, ["0", "1,2"], [0.75, 0.75]),
        ("GPU-a,GPU-b", 3, ["GPU-a", "GPU-a", "GPU-b"], [0.38, 0.38, 0.75]),
        ("-1", 2, [None, None], None),
        ("", 2, [None, None], None),
    ],
)
def test_a_process_sees_its_gpus_and_its_share_of_their_memory(
    visible, n, gpus, memory, monkeypatch, tmp_path
):
    """Of those that nvidia-smi lists, or that this process may see."""
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    started = []

    def start(order, **options):
        started.append((order.environment, os.sched_getaffinity(0)))
        return object()

    monkeypatch.setattr(Order, "start", start)
    order = Order(("train",), tmp_path / "log", tmp_path, {"KEPT": "1"})
    processes.Processes(n, retries=0).submit([order] * n)
    environments, cores = zip(*started, strict=True)
    assert [found.get("CUDA_VISIBLE_DEVICES") for found in environments] == gpus
    assert all(found["KEPT"] == "1" for found in environments)
    if memory:
        shares = [float(found["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for found in environments]
        assert shares == memory
    assert set().union(*cores) == os.sched_getaffinity(0)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", MOMENTS)
def test_a_killed_worker_costs_nothing(whole, tmp_path, checkpoints):
    sweep = Sweep(tmp_path, *TWO)
    os.kill(sweep.worker(1, checkpoints), signal.SIGKILL)
    out = assert_whole(sweep, whole)
    assert "[2/3] seed=1: killed by SIGKILL after " in out
    assert out.count("[2/3] seed=1: begun, its log is logs/seed=1-") == 2
    assert out.count("[2/3] seed=1: done after ") == 1
    log = next(tmp_path.glob("logs/seed=1-*.log")).read_text()
    assert log.count(": glocal train ") == 2
    cores = manifest(runs(tmp_path)["local/1"])["surroundings"]["cores"]
    assert cores == max(len(os.sched_getaffinity(0)) // 2, 1)


@pytest.mark.slow
def test_a_worker_that_is_killed_each_time_fails_and_the_others_do_not(whole, tmp_path):
    sweep = Sweep(tmp_path, *TWO, "launcher.retries=1")
    for checkpoints in (2, 8):
        os.kill(sweep.worker(0, checkpoints), signal.SIGKILL)
    out = sweep.end()
    assert sweep.process.returncode == 1
    assert out.count("killed by SIGKILL") == 2
    assert "error: 1 of 3 jobs failed (seed=0); the same command does only what is missing." in out
    assert_same(runs(tmp_path)["local/1"], whole["local/1"])
    out = assert_whole(Sweep(tmp_path, *TWO), whole)
    assert "2 of 3 jobs are complete already" in out


@pytest.mark.slow
def test_ctrl_c_stops_all_workers_where_they_can_go_on_from(whole, tmp_path):
    sweep = Sweep(tmp_path, *TWO)
    workers = [sweep.worker(seed, 3) for seed in (0, 1)]
    sweep.process.send_signal(signal.SIGINT)
    out = sweep.end()
    assert sweep.process.returncode == 130
    assert out.endswith("interrupted: what was done is kept; the same command goes on.\n")
    assert "waiting for 2 jobs to save and stop" in out
    assert out.count(": interrupted after ") == 2
    assert set(runs(tmp_path)) == {"local/0", "local/1"}
    for run in runs(tmp_path).values():
        assert manifest(run)["status"] == "interrupted"
    assert not any(map(is_alive, workers))
    assert_whole(Sweep(tmp_path, *TWO), whole)


@pytest.mark.slow
def test_no_worker_outlives_a_sweep_that_is_killed(whole, tmp_path):
    sweep = Sweep(tmp_path, *TWO)
    workers = [sweep.worker(seed, 3) for seed in (0, 1)]
    sweep.process.kill()
    sweep.end()
    until(lambda: not any(map(is_alive, workers)))
    assert_whole(Sweep(tmp_path, *TWO), whole)


@pytest.mark.slow
def test_a_run_that_another_has_is_put_off_and_no_failure(whole, tmp_path):
    """Two sweeps over the same runs: each leaves to the other what that is doing."""
    first, second = Sweep(tmp_path, *TWO), Sweep(tmp_path, *TWO)
    outs = [sweep.end() for sweep in (first, second)]
    assert [sweep.process.returncode for sweep in (first, second)] == [0, 0], outs
    assert "put off: run " in "".join(outs)
    for name, run in runs(tmp_path).items():
        assert_same(run, whole[name])


@pytest.mark.slow
def test_a_run_that_stays_locked_is_left(tmp_path, whole):
    sweep = Sweep(tmp_path, *TWO)
    run = sweep.run(0)
    sweep.worker(0, 1)
    sweep.process.send_signal(signal.SIGINT)
    sweep.end()
    lock = RunLock(run / "lock")
    lock.acquire()
    before = checkpoint(run)
    sweep = Sweep(tmp_path, *TWO)
    out = sweep.end()
    assert sweep.process.returncode == 0
    assert f"left to it: run {run} is being written by process {os.getpid()}" in out
    assert (pid_in(run / "lock"), checkpoint(run)) == (os.getpid(), before)
    lock.release()
    assert_whole(Sweep(tmp_path, *TWO), whole)


@pytest.mark.slow
def test_a_job_that_fails_says_why_and_where(tmp_path):
    sweep = Sweep(tmp_path, *TWO, "+task.broken=true")
    out = sweep.end()
    assert sweep.process.returncode == 1
    told = r"error: \[2/3\] seed=1: failed after \d+ s: RuntimeError: the toy is broken; "
    found = re.search(f"{told}its log is (.*)", out)
    assert found, out
    assert "Traceback" in (tmp_path / found[1]).read_text()
    assert "error: 3 of 3 jobs failed (seed=" in out


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
