"""A Ray cluster: a task of Ray for each task of a sweep."""

import os
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from glocal_exp.app.launchers.started import PAUSE_SECONDS, Order, Started, needed

PASSED_ON = ("GLOCAL_", "WANDB_", "JAX_", "XLA_", "PYTHONPATH")
"""Variables, by their beginnings, that workers do not have of themselves."""


def attempt(order: Order) -> int:
    """What runs on a worker: one process, which hears of a cancellation."""
    process = order.start()
    try:
        # Ray interrupts this thread between two lines, but no call that waits.
        while process.poll() is None:
            time.sleep(PAUSE_SECONDS)
        return process.returncode
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        return process.wait()


class Ray(Started):
    """As many tasks at a time as the cluster has cores and GPUs for.

    `configs/launcher/ray.yaml` explains its settings. Ray itself takes a task up again, as soon as
    a worker or its node is lost.
    """

    def __init__(self, address: str | None, n: int, cores: float, gpus: float, retries: int):
        super().__init__(n, retries)
        self._ray = needed("ray", "ray")
        self._address, self._size = address, {"num_cpus": n * cores}
        self._options = {"num_cpus": cores, "num_gpus": gpus, "max_retries": retries}

    def room(self, running: int) -> int:
        return 10**6

    def submit(self, orders: Sequence[Order]) -> list[Any]:
        if not self._ray.is_initialized():
            size = {} if self._address or os.environ.get("RAY_ADDRESS") else self._size
            self._ray.init(self._address, log_to_driver=False, include_dashboard=False, **size)
        own = {name: v for name, v in os.environ.items() if name.startswith(PASSED_ON)}
        remote = self._ray.remote(attempt).options(**self._options)
        return [remote.remote(replace(o, environment={**own, **o.environment})) for o in orders]

    def ended(self, handles: Collection[Any]) -> Mapping[Any, int | str]:
        ended, _ = self._ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return {reference: self._code(reference) for reference in ended}

    def _code(self, reference: Any) -> int | str:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return str(error)

    def interrupt(self, handles: Collection[Any]) -> None:
        for reference in handles:
            self._ray.cancel(reference)
