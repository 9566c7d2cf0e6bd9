"""Slurm, through submitit: the tasks of a sweep as an array of jobs."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from glocal_exp.app.launchers.started import LOST, Order, Started
from glocal_exp.errors import UserError

LARGEST_ARRAY = 1000
"""Slurm's own limit, unless a cluster sets another."""
LOOK_SECONDS = 5.0  # choice: between two questions to Slurm; a job is lost if it is in neither
FOLDER = "slurm"
"""Beside the logs: submitit's files, among them what Slurm says of a job."""


class Attempt:
    """What runs inside of a Slurm job: the process of one task, and its end before a requeue."""

    def __call__(self, order: Order) -> int:
        """Start it, and wait for its exit code."""
        # Slurm sends the signal that a job's end is near to all that runs in it.
        with _ignored(_warning()):
            self._process = order.start()
        return self._process.wait()

    def checkpoint(self, order: Order) -> Any:
        """Stop it where it can go on from; submitit calls this before it requeues the job."""
        from submitit.helpers import DelayedSubmission

        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process.pid, 0)  # not Popen.wait, which this may have interrupted
        return DelayedSubmission(Attempt(), order)


class Slurm(Started):
    """An array of jobs, `n` of them at a time.

    A job that is preempted, or near its end of time, saves its run and is requeued.

    Args:
        n: jobs at a time.
        partition: of the cluster; null is its default.
        time: minutes of a job, after which it is requeued.
        cores: CPU cores of a job; null is the cluster's default.
        gpus: of a job.
        requeues: how often a job may run out of time.
        warning: seconds before its end at which a job begins to save its run.
        parameters: further options of sbatch by their names (`account`).
        retries: see `Launcher`.
        cluster: `slurm`, or `local`: submitit's processes on this machine, to try things.
    """

    def __init__(
        self,
        n: int,
        partition: str | None,
        time: int,
        cores: int | None,
        gpus: int | None,
        requeues: int,
        warning: int,
        parameters: Mapping[str, Any],
        retries: int,
        cluster: str = "slurm",
    ):
        try:
            import submitit
        except ImportError as error:
            raise UserError(
                "launcher=slurm needs submitit; install the extra slurm: make setup EXTRAS=slurm, "
                "or pip install submitit."
            ) from error
        self._submitit, self.retries, self._cluster = submitit, retries, cluster
        self._executor_options: dict[str, Any] = {"slurm_max_num_timeout": requeues}
        self._parameters = {
            "name": "glocal",
            "timeout_min": time,
            "cpus_per_task": cores,
            "gpus_per_node": gpus,
            "stderr_to_stdout": True,
            "slurm_partition": partition,
            "slurm_array_parallelism": n,
            "slurm_signal_delay_s": warning,
            "slurm_additional_parameters": dict(parameters) or None,
        }
        self._looked, self._listed, self._unlisted = 0.0, set(), set()

    def room(self, running: int) -> int:
        return 0 if running else LARGEST_ARRAY

    def submit(self, orders: Sequence[Order]) -> list[Any]:
        folder = orders[0].log.parent / FOLDER
        try:
            executor = self._submitit.AutoExecutor(
                folder, cluster=self._cluster, **self._executor_options
            )
            executor.update_parameters(**self._parameters)
            jobs = executor.map_array(Attempt(), orders)
        except (RuntimeError, ValueError, NameError, self._submitit.core.utils.FailedJobError) as error:
            raise UserError(f"Slurm takes no jobs: {error}") from error
        self._orders = dict(zip(jobs, orders))
        return jobs
