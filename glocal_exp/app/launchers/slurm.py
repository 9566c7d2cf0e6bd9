"""Slurm, through submitit: the tasks of a sweep as an array of jobs."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from glocal_exp.app.launchers.started import Order, Started, needed
from glocal_exp.app.say import INTERRUPTED, say

LARGEST_ARRAY = 1000  # Slurm's own limit, unless a cluster sets another
LOOK_SECONDS = 5.0  # choice: between two questions to Slurm; a job unknown to it twice is lost
STAY_SECONDS = 600.0  # choice: for Slurm to end a job that it has asked to end
FOLDER = "slurm"  # beside the logs: submitit's files


class Attempt:
    """What runs inside of a Slurm job: the process of one task."""

    _process: subprocess.Popen | None = None

    def __call__(self, order: Order) -> int:
        """Start it, and wait for its exit code."""
        with _ignored("SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")):
            self._process = order.start()
        code = self._process.wait()
        if code == INTERRUPTED:  # by Slurm, which requeues a preempted job if it is still there
            time.sleep(STAY_SECONDS)
        return code

    def checkpoint(self, order: Order) -> Any:
        """Stop it where it can go on from; submitit calls this, and requeues the job."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._process.pid, 0)  # not Popen's, which this has interrupted
        return DelayedSubmission(Attempt(), order)


class Slurm(Started):
    """An array of jobs; one that is preempted or short of time saves its run and is requeued.

    `configs/launcher/slurm.yaml` explains its settings.
    """

    def __init__(
        self,
        n: int,
        partition: str | None,
        time: int,
        cores: int | None,
        gpus: int | None,
        warning: int,
        requeues: int,
        retries: int,
        parameters: Mapping[str, Any],
        cluster: str,
    ):
        super().__init__(n, retries)
        self._submitit, self._cluster = needed("submitit", "slurm"), cluster
        self._limit = {"slurm_max_num_timeout": requeues}
        self._parameters = {
            "name": "glocal",
            "timeout_min": time,
            "cpus_per_task": cores,
            "gpus_per_node": gpus,
            "stderr_to_stdout": True,
            "slurm_partition": partition,
            "slurm_array_parallelism": n,
            "slurm_signal_delay_s": warning,
            "slurm_additional_parameters": dict(parameters),
        }
        self._looked = 0.0
        self._missing: set[Any] = set()
        self._gone: set[Any] = set()

    def room(self, running: int) -> int:
        return 0 if running else LARGEST_ARRAY

    def submit(self, orders: Sequence[Order]) -> list[Any]:
        folder = orders[0].log.parent / FOLDER
        executor = self._submitit.AutoExecutor(folder, cluster=self._cluster, **self._limit)
        executor.update_parameters(**self._parameters)
        jobs = executor.map_array(Attempt(), orders)
        say(f"submitted: {len(jobs)} jobs, {jobs[0].job_id} to {jobs[-1].job_id}")
        return jobs

    def ended(self, handles: Collection[Any]) -> Mapping[Any, int | str]:
        if self._cluster == "slurm":
            gone = self._gone_from(handles)
            over = [job for job in handles if job in gone or job.paths.result_pickle.exists()]
        else:
            over = [job for job in handles if job.done()]
        return {job: self._code(job) for job in over}

    def _code(self, job: Any) -> int | str:
        """What the process returned, else what Slurm or submitit say of it."""
        said = job.stdout() or ""
        if job.paths.result_pickle.exists():
            outcome, said = self._submitit.core.utils.pickle_load(job.paths.result_pickle)
            if outcome == "success":
                return said
        return f"{said}\n# Slurm job {job.job_id}: {job.paths.stdout}"

    def _gone_from(self, jobs: Collection[Any]) -> set[Any]:
        """Those that Slurm knows no more."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            # Not sacct, submitit's own way: not every cluster keeps accounts.
            command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
            found = subprocess.run(command, capture_output=True, text=True, check=False)
            if found.returncode == 0:
                there = set(found.stdout.split())
                missing = {job for job in jobs if job.job_id not in there}
                self._gone, self._missing = missing & self._missing, missing
        return self._gone

    def interrupt(self, handles: Collection[Any]) -> None:
        for job in handles:
            job.cancel(check=False)


@contextmanager
def _ignored(name: str) -> Iterator[None]:
    """What is started inside of it does not hear a signal, which Slurm sends to all of a job."""
    before = signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(getattr(signal, name), before)
