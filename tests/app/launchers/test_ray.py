"""A real Ray cluster of two workers, of which something is killed in the middle of a sweep."""

import os
import signal

import pytest

from tests.app.commands import manifest, runs

from .clusters import RayCluster, kill
from .sweeps import MOMENTS, Sweep, assert_whole, parent

pytestmark = pytest.mark.slow
RAY = ["launcher=ray"]


@pytest.mark.parametrize("checkpoints", MOMENTS)
def test_a_lost_node_costs_nothing(ray: RayCluster, whole, tmp_path, checkpoints):
    """The other worker takes up its run."""
    sweep = Sweep(tmp_path, *RAY, more=ray.known)
    kill(ray.node_of(sweep.worker(1, checkpoints)))
    assert_whole(sweep, whole)
    log = next(tmp_path.glob("logs/seed=1-*.log")).read_text()
    assert log.count(": glocal train ") == 2


@pytest.mark.parametrize("checkpoints", MOMENTS[1:3])
def test_a_killed_worker_costs_nothing(ray: RayCluster, whole, tmp_path, checkpoints):
    """Ray's own process, with which that of the run ends."""
    sweep = Sweep(tmp_path, *RAY, more=ray.known)
    os.kill(parent(sweep.worker(1, checkpoints)), signal.SIGKILL)
    assert_whole(sweep, whole)


def test_ctrl_c_stops_all_workers_where_they_can_go_on_from(ray: RayCluster, whole, tmp_path):
    sweep = Sweep(tmp_path, *RAY, more=ray.known)
    for seed in (0, 1):
        sweep.worker(seed, 3)
    sweep.process.send_signal(signal.SIGINT)
    out = sweep.end()
    assert sweep.process.returncode == 130, out
    for run in runs(tmp_path).values():
        assert manifest(run)["status"] == "interrupted"
    assert_whole(Sweep(tmp_path, *RAY, more=ray.known), whole)
