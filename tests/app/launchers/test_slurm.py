"""Arrays of Slurm jobs: on a real cluster of one node, and on submitit's imitation of one."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from glocal_exp.app.launchers.slurm import Slurm
from glocal_exp.app.launchers.started import Order
from tests.app.commands import manifest, runs, until

from .clusters import asked
from .sweeps import MOMENTS, Sweep, assert_whole, parent

pytest.importorskip("submitit", reason="needs submitit: pip install 'glocal-exp[slurm]'")
SETTINGS = {
    **dict.fromkeys(["partition", "cores", "gpus"]),
    "n": 2,
    "time": 20,
    "warning": 1,
    "requeues": 3,
    "retries": 1,
    "parameters": {},
}
LOCAL = ["launcher=slurm", "launcher.cluster=local"]
REAL = ["launcher=slurm", "launcher.n=2"]


def test_submitits_local_executor_runs_orders_and_says_how_they_ended(tmp_path):
    launcher = Slurm(**SETTINGS, cluster="local")
    log = tmp_path / "logs" / "one.log"
    words = {("--version",): 0, ("no-command",): 2}
    assert launcher.room(0) > 1
    handles = launcher.submit([Order(each, log, tmp_path) for each in words])
    assert launcher.room(2) == 0
    codes = {}
    until(lambda: codes.update(launcher.ended(handles)) or len(codes) == 2)
    assert [codes[handle] for handle in handles] == list(words.values())
    assert "error: There is no command no-command" in log.read_text()


@pytest.mark.slow
def test_of_a_job_that_cannot_start_the_reason_is_known(tmp_path):
    launcher = Slurm(**SETTINGS, cluster="local")
    log = tmp_path / "one.log"
    handles = launcher.submit([Order(("--version",), log, tmp_path / "nowhere")])
    codes = {}
    until(lambda: codes.update(launcher.ended(handles)) or codes)
    assert "nowhere" in codes[handles[0]]


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", MOMENTS[1:3])
def test_a_preempted_job_of_the_imitation_goes_on(whole, tmp_path, checkpoints):
    sweep = Sweep(tmp_path, *LOCAL)
    worker = sweep.worker(1, checkpoints)
    os.kill(parent(worker), signal.SIGUSR2)
    out = assert_whole(sweep, whole)
    assert "submitted: 3 jobs" in out
    assert len(manifest(runs(tmp_path)["local/1"])["sessions"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("checkpoints", MOMENTS)
def test_a_job_killed_by_scancel_costs_nothing(slurm, whole, tmp_path, checkpoints):
    sweep = Sweep(tmp_path, *REAL, more=slurm)
    worker = sweep.worker(1, checkpoints)
    scancel(slurm, "--signal=KILL", job_of(worker))
    out = assert_whole(sweep, whole)
    assert "[2/3] seed=1: lost after " in out
    assert out.count("[2/3] seed=1: begun, its log is logs/seed=1-") == 2
    assert "# Slurm job " in next(tmp_path.glob("logs/seed=1-*.log")).read_text()


@pytest.mark.slow
def test_a_job_whose_time_is_over_is_requeued(slurm, whole, tmp_path):
    """The signal that Slurm sends then; the limit itself is a minute at least."""
    sweep = Sweep(tmp_path, *REAL, more=slurm)
    worker = sweep.worker(0, 3)
    scancel(slurm, "--signal=USR2", job_of(worker))
    out = assert_whole(sweep, whole)
    assert "lost" not in out
    sessions = manifest(runs(tmp_path)["local/0"])["sessions"]
    assert len(sessions) == 2


@pytest.mark.slow
def test_a_preempted_job_is_requeued(slurm, whole, tmp_path):
    # Slurm waits two minutes before it starts a requeued job again.
    sweep = Sweep(tmp_path, *REAL, "launcher.partition=main", more=slurm)
    sweep.worker(0, 3)
    command = ["srun", "--partition=urgent", "--ntasks=2", "sleep", "1"]
    subprocess.run(command, env=os.environ | slurm, check=True, cwd=tmp_path)
    out = assert_whole(sweep, whole)
    assert "lost" not in out


@pytest.mark.slow
def test_ctrl_c_cancels_the_array_and_saves_its_runs(slurm, whole, tmp_path):
    sweep = Sweep(tmp_path, *REAL, more=slurm)
    sweep.worker(0, 3)
    sweep.process.send_signal(signal.SIGINT)
    out = sweep.end()
    assert sweep.process.returncode == 130, out
    assert asked("squeue", "--noheader", more=slurm) == ""
    assert manifest(runs(tmp_path)["local/0"])["status"] == "interrupted"
    assert_whole(Sweep(tmp_path, *REAL, more=slurm), whole)


def scancel(slurm: dict[str, str], *words: str) -> None:
    subprocess.run(["scancel", *words], env=os.environ | slurm, check=True)


def job_of(pid: int) -> str:
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next(line.split("=")[1] for line in variables if line.startswith("SLURM_JOB_ID="))
