"""Sweeps over processes for tests: commands in programs of their own, and who does what of them."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.app.commands import PACED, PATIENCE, ROOT, TOY, assert_same, checkpoint, runs, until

SEEDS = ["seed=0,1,2", "steps=400"]  # each a run of 80 checkpoints and, paced, four seconds
# Tests that are run in the background have inherited a Ctrl-C that is ignored.
PROGRAM = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "runpy.run_module('glocal_exp', run_name='__main__', alter_sys=True)"
)
MOMENTS = [0, 2, 27, 75]  # checkpoints of a run before its process is killed


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "GLOCAL"))}
    return kept | {"PYTHONPATH": str(ROOT)} | dict(more or {})


class Sweep:
    """A `glocal train -m` under way; its runs go to `output`."""

    def __init__(self, output: Path, *words: str, more: Mapping[str, str] | None = None):
        self.output = output
        command = [sys.executable, "-c", PROGRAM, "train", "-m", *TOY, PACED, *SEEDS]
        self.process = subprocess.Popen(
            [*command, f"output_dir={output}", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=output,
            env=environment(more),
        )

    def end(self) -> str:
        """What it has printed, once it is over."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        return out

    def run(self, seed: int) -> Path:
        """The directory of a run, as soon as it is there."""
        until(lambda: f"local/{seed}" in runs(self.output) or self.process.poll() is not None)
        return runs(self.output)[f"local/{seed}"]

    def worker(self, seed: int, checkpoints: int) -> int:
        """The process that writes a run, as soon as there are so many checkpoints of it."""
        run = self.run(seed)
        until(lambda: pid_in(run / "lock") and checkpoint(run) >= checkpoints)
        return pid_in(run / "lock")


def pid_in(lock: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(lock.read_text())
    return 0


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs of a sweep in one process that nothing has disturbed."""
    sweep = Sweep(tmp_path_factory.mktemp("whole"))
    out = sweep.end()
    assert sweep.process.returncode == 0, out
    return runs(sweep.output)


def assert_whole(sweep: Sweep, whole: Mapping[str, Path]) -> str:
    """The sweep ends well, with the bits of one that nothing has disturbed; what it printed."""
    out = sweep.end()
    assert sweep.process.returncode == 0, out
    assert set(runs(sweep.output)) == set(whole)
    for name, run in runs(sweep.output).items():
        assert_same(run, whole[name])
        assert not (run / "checkpoint").exists()
    return out
