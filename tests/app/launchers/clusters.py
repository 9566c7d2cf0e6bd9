"""A Ray cluster of two workers and a Slurm cluster of one node, on this machine, for tests.

Slurm needs Debian's `slurm-wlm` and `munge`, and root: `munged`, `slurmctld` and `slurmd` are
started by hand in a temporary folder, with a key and a configuration of their own, and ended with
the tests. Ports, sockets and files are not those of a Slurm that the machine may have.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.commands import PATIENCE, until

from .sweeps import environment

SLURM = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=main Nodes={host} Default=YES PriorityTier=1
PartitionName=urgent Nodes={host} PriorityTier=2 PreemptMode=off
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    """A Slurm cluster of one node with two cores; the variables by which commands find it."""
    if os.getuid() or not all(map(shutil.which, SLURM)):
        pytest.skip("needs root, and Debian's packages slurm-wlm and munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    folder.chmod(0o755)  # munge trusts no other
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(folder=folder, host=host, ports=[free_port(), free_port()])
    (folder / "slurm.conf").write_text(text)
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o400)
    known = {"SLURM_CONF": str(folder / "slurm.conf")}
    started = []

    def start(*words: str) -> None:
        log = (folder / "started.log").open("ab")
        started.append(
            subprocess.Popen(words, env=os.environ | known, stdout=log, stderr=log, cwd=folder)
        )
        log.close()

    try:
        start(
            *["munged", "--foreground", "--force", f"--key-file={folder}/key"],
            *[f"--{kind}={folder}/munge.{kind}" for kind in ("socket", "pid-file", "log-file")],
            f"--seed-file={folder}/munge.seed",
        )
        until((folder / "munge.socket").exists)
        start("slurmctld", "-D", "-f", known["SLURM_CONF"])
        start("slurmd", "-D", "-f", known["SLURM_CONF"])
        state = ["sinfo", "--noheader", "--partition=main", "--format=%t"]
        until(lambda: asked(*state, more=known) == "idle")
        yield known
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(PATIENCE)
        shutil.rmtree(folder)


@pytest.fixture
def ray() -> Iterator["RayCluster"]:
    """A Ray cluster of a head that runs nothing and two workers of one core each."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'glocal-exp[ray]'")
    cluster = RayCluster()
    try:
        yield cluster
    finally:
        cluster.close()


class RayCluster:
    """Its nodes are programs of this test, each in a group of its own."""

    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="ray"))  # sockets have short paths
        self.address = f"127.0.0.1:{free_port()}"
        self.known = {
            "RAY_ADDRESS": self.address,
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._head = self._start(
            *["--head", f"--port={self.address.split(':')[1]}", "--num-cpus=0"],
            *["--include-dashboard=false", f"--temp-dir={self._folder}"],
        )
        self.workers = [self._start(f"--address={self.address}", "--num-cpus=1") for _ in range(2)]

    def _start(self, *words: str) -> "subprocess.Popen[bytes]":
        """A node, once it runs: two that start at once take each other's ports."""
        ray, count = Path(sys.executable).with_name("ray"), len([*self._folder.glob("*.log")])
        path = self._folder / f"{count}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [ray, "start", "--block", "--disable-usage-stats", *words],
                stdout=log,
                stderr=log,
                env=environment(self.known),
                start_new_session=True,
            )
        until(lambda: "Ray runtime started" in path.read_text())
        return process

    def node_of(self, pid: int) -> "subprocess.Popen[bytes]":
        """The node that a process belongs to."""
        (node,) = [node for node in self.workers if os.getsid(pid) == node.pid]
        return node

    def close(self) -> None:
        for node in [*self.workers, self._head]:
            kill(node)
        shutil.rmtree(self._folder, ignore_errors=True)


def kill(node: "subprocess.Popen[bytes]") -> None:
    """End all of a node at once, as if its machine had lost its power."""
    for line in Path("/proc").glob("[0-9]*"):
        pid = int(line.name)
        try:
            if os.getsid(pid) == node.pid:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    node.wait(PATIENCE)


def asked(*words: str, more: dict[str, str]) -> str:
    """What a command prints, without the space around it."""
    environment = os.environ | more
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
