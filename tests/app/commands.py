"""Command lines for tests, and what they leave behind."""

import csv
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMES = {"seconds", "compile_seconds", "evaluation_seconds"}
# Two intervals, as long as glocal's own window needs; four checkpoints in each.
LENET = [
    *["preset=smoke", "steps=160", "interval=80", "batch_size=4", "validation.size=20"],
    *["device.cpu.segment=20", "device.cpu.checkpoint_seconds=0", "tracker=none"],
]
LINEAR = [
    "model._target_=tests.app.toy.Linear",
    *["~model.filters", "~model.hidden", "~model.negative_slope", "~model.initializer"],
]
# Three seconds instead of twenty: the network compiles at once.
TINY = [*LENET, *LINEAR]
# A second instead of three: no network, four intervals.
TOY = [
    *[*LENET, "steps=80", "interval=20", "device.cpu.segment=5", "method=local"],
    "task._target_=tests.app.toy.Toy",
    *["~task.rule", "~task.transform", "~task.init.momentum", "~task.init.weight_decay"],
]
PACED = "tracker._target_=tests.app.toy.Paced"  # for a run that is to be stopped on its way
PATIENCE = 300.0  # for a machine that does a lot besides


@dataclass
class Command:
    """A command under way, or ended."""

    pid: int
    out_file: Path
    err_file: Path
    code: int | None = None

    @property
    def out(self) -> str:
        return self.out_file.read_text()

    @property
    def err(self) -> str:
        return self.err_file.read_text()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid, number)


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Shell]":
    """Where commands are typed; what one has compiled the others find."""
    started = Shell(tmp_path_factory.mktemp("shell"))
    yield started
    started.close()


class Shell:
    """Starts commands in processes forked from one that has imported everything."""

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0
        self._commands: dict[int, Command] = {}
        self._started: queue.SimpleQueue[int] = queue.SimpleQueue()
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        kept = {k: v for k, v in environment.items() if not k.startswith(("WANDB", "GLOCAL"))}
        kept["HOME"] = kept["NETRC"] = str(folder / "home")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.app.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
            env=kept,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self, *arguments: str, script: str = "train", cached: bool = True, quick: bool = True
    ) -> Command:
        """Start a script and do not wait.

        With `cached` it takes from JAX's cache on disk what others have compiled; without `quick`
        it compiles as it does for users.
        """
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        request = {
            "script": script,
            "arguments": arguments,
            "cached": cached,
            "quick": quick,
            "out": str(out),
            "err": str(err),
            "cwd": str(self._folder),
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        pid = self._started.get(timeout=PATIENCE)
        command = self._commands.setdefault(pid, Command(pid, out, err))
        command.out_file, command.err_file = out, err
        return command

    def run(self, *arguments: str, **options: Any) -> Command:
        """Run a command to its end."""
        return self.wait(self.start(*arguments, **options))

    def done(self, *arguments: str, **options: Any) -> Command:
        """Run a command that does what is asked of it."""
        command = self.run(*arguments, **options)
        assert command.code == 0, command.err
        return command

    def refused(self, *arguments: str, **options: Any) -> str:
        """The sentence of a command that its user got wrong."""
        command = self.run(*arguments, **options)
        assert (command.code, command.err.count("\n")) == (2, 1), command.err
        assert command.err.startswith("error: ")
        return command.err

    def wait(self, command: Command) -> Command:
        until(lambda: command.code is not None)
        return command

    def finished(self, output: Path, seed: int = 0) -> None:
        """A complete run of `TOY` below `output`: a copy of one that is made once."""
        made = self._folder / f"finished-{seed}"
        if not made.exists():
            self.done(*TOY, f"seed={seed}", f"output_dir={made}")
        shutil.copytree(made, output, dirs_exist_ok=True)

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(PATIENCE)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            found = json.loads(line)
            if "code" in found:
                # A child may end before its start has been answered for.
                empty = Command(found["pid"], Path(), Path())
                self._commands.setdefault(found["pid"], empty).code = found["code"]
            else:
                self._started.put(found["pid"])


def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def checkpoint(run: Path) -> int:
    """The number of the newest checkpoint; they are counted through a run's whole life."""
    return max((int(path.stem) for path in run.glob("checkpoint/*.ckpt")), default=0)


def runs(output: Path) -> dict[str, Path]:
    """The run directories below an output directory, by `<method>/<seed>`."""
    found = sorted((output / "runs").glob("*/*/seed=*"))
    return {f"{p.parent.name.rsplit('-', 1)[0]}/{p.name.removeprefix('seed=')}": p for p in found}


def manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text())


def rows(run: Path) -> list[dict[str, str]]:
    """metrics.csv as text, times aside."""
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def assert_same(one: Path, other: Path) -> None:
    """Two run directories hold the same numbers to the last bit, times aside."""
    assert rows(one) == rows(other)
    for name in ("arrays.npz", "weights.npz"):
        assert (one / name).exists() == (other / name).exists()
        if (one / name).exists():
            with np.load(one / name) as ours, np.load(other / name) as theirs:
                assert ours.files == theirs.files
                for key in ours.files:
                    np.testing.assert_array_equal(ours[key], theirs[key])
