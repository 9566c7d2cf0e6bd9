"""Weights & Biases as a mirror of the records; the one module that imports `wandb`."""

import functools
import hashlib
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from glocal_exp.errors import UserError
from glocal_exp.records import IntervalRecord
from glocal_exp.tracking.background import Worker, at_exit
from glocal_exp.tracking.sink import Shield, warn
from glocal_exp.tracking.wandb_server import has_key, unreachable

MODES = ("auto", "online", "offline")
EXIT_CODES = {"complete": 0, "failed": 1, "interrupted": 255}  # 255: what W&B shows as killed
GRACE_SECONDS = 15.0  # choice: for importing wandb and asking whether its server is there
PROBE_SECONDS = 10.0  # choice: after this a server that has not answered is not there
EXIT_SECONDS = 5.0  # choice: what a broken W&B may cost when the program ends


@final
class WandbSink:
    """One W&B run per seed; a resumed run goes on with the same one.

    All calls into W&B run in a thread of their own, in order. Whatever raises or hangs there
    costs one line and at most the seconds below; the run goes on without W&B. Only a stop asked
    for on W&B's pages reaches the run, as Ctrl-C does.

    Args:
        mode: `online`, `offline`, or `auto`: what W&B's settings (`WANDB_MODE`, `wandb offline`)
            say, and online only if `has_key`. Without a key or a server to talk to, runs are kept
            offline.
        project: W&B project.
        entity: W&B user or team; None for the user's default.
        tags: tags of every run.
        dir: W&B puts its folder `wandb` here; offline runs wait there for `wandb sync`.
        start_seconds: what opening a run may take.
        finish_seconds: what uploading the rest may take at the end.

    Raises:
        UserError: the mode is none of these.
    """

    def __init__(
        self,
        mode: str = "auto",
        *,
        project: str = "glocal",
        entity: str | None = None,
        tags: Sequence[str] = (),
        dir: str | Path = "outputs",
        start_seconds: float = 30.0,
        finish_seconds: float = 60.0,
    ):
        if mode not in MODES:
            raise UserError(f"W&B has no mode {mode!r}: choose one of {', '.join(MODES)}.")
        self._mode = mode
        self._project = project
        self._entity = entity
        self._tags = [str(tag) for tag in tags]
        self._dir = Path(dir).absolute()
        self._start_seconds = start_seconds
        self._finish_seconds = finish_seconds
        self._shield = Shield("W&B", on_failure=_bound_exit)
        self._worker: Worker | None = None
        self._open_seeds: list[int] = []
        self._runs: dict[int, Any] = {}
        self._next_step: dict[int, int] = {}

    def start(self, run_info: Mapping[str, Any]) -> None:
        """Open the W&B run of one seed; see `Sink.start`."""
        self._shield(self._start, run_info)

    def record(self, record: IntervalRecord) -> None:
        """Log the record's row at its training step, without waiting."""
        self._shield(self._record, record)

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        """Nothing: W&B gets whole records only."""

    def finish(self, status: str, seed: int | None = None) -> None:
        """Close the W&B runs and wait, in bounded time, for what is left to upload."""
        finished = [s for s in self._open_seeds if seed is None or s == seed]
        self._open_seeds = [s for s in self._open_seeds if s not in finished]
        for each in finished:
            self._shield(self._finish, each, status)
        if self._worker is not None and not self._open_seeds:
            self._worker.stop()
            self._worker = None

    def _start(self, run_info: Mapping[str, Any]) -> None:
        self._open_seeds.append(int(run_info.get("seed") or 0))
        done = self._submit(self._open, dict(run_info))
        self._wait(done, self._start_seconds + GRACE_SECONDS, "start")

    def _record(self, record: IntervalRecord) -> None:
        self._submit(self._log, record.seed, record.step, row(record), record.outer_step == 0)

    def _finish(self, seed: int, status: str) -> None:
        done = self._submit(self._close, seed, status)
        self._wait(done, self._finish_seconds + GRACE_SECONDS, "finish")

    def _submit(self, function: Callable[..., object], *arguments: Any) -> threading.Event:
        if self._worker is None:
            self._worker = Worker(self._shield, "wandb-sink")
        return self._worker.submit(function, *arguments)

    def _wait(self, done: threading.Event, seconds: float, what: str) -> None:
        if not done.wait(seconds):
            self._shield.fail(f"it did not {what} within {seconds:.0f} s")

    def _open(self, info: Mapping[str, Any]) -> None:
        # W&B sends reports about itself even from offline runs, and would wait for them at the end
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True))
        # with a full disk each line of W&B's debug.log would print a traceback
        logging.getLogger("wandb").setLevel(logging.CRITICAL)
        self._dir.mkdir(parents=True, exist_ok=True)
        run = self._init(info, self._choose(wandb.setup().settings))
        seed = int(info.get("seed") or 0)
        self._runs[seed] = run
        self._next_step[seed] = int(run.step) if run.resumed else 0

    def _choose(self, settings: Any) -> str:
        """The mode of the next run; whatever keeps it from being online is told once."""
        if self._mode == "offline":
            return self._mode
        reason = None
        if not has_key(settings.base_url, settings.api_key):
            reason = "no API key is configured, run `wandb login` to change that"
        if self._mode == "auto" and (settings.mode != "online" or reason):
            return settings.mode if settings.mode != "online" else "offline"
        reason = reason or unreachable(settings.base_url, min(self._start_seconds, PROBE_SECONDS))
        if reason is None:
            return "online"
        warn(f"W&B cannot be used online, so its runs are kept offline ({reason})")
        self._mode = "offline"
        return self._mode

    def _init(self, info: Mapping[str, Any], mode: str) -> Any:
        import wandb

        wanted = {
            "silent": True,
            "console": "off",
            "disable_git": True,
            "disable_code": True,
            "save_code": False,
            "label_disable": True,
            "use_dot_wandb": False,
            "init_timeout": self._start_seconds,
            "finish_timeout": self._finish_seconds,
            "x_service_wait": self._start_seconds,
            "x_disable_stats": True,
            "x_disable_machine_info": True,
            "x_save_requirements": False,
        }
        known = {k: v for k, v in wanted.items() if k in wandb.Settings.model_fields}
        experiment, variant = (str(info.get(key) or "") for key in ("experiment", "variant"))
        seed = int(info.get("seed") or 0)
        group = "/".join(filter(None, [experiment, variant]))
        facts = {"experiment": experiment, "variant": variant, "seed": seed}
        if info.get("data"):
            facts["data"] = str(info["data"])
        return wandb.init(
            project=self._project,
            entity=self._entity,
            dir=str(self._dir),
            id=run_id(info.get("path") or f"{group}/seed={seed}"),
            name="/".join(filter(None, [group, f"seed={seed}"]))[-128:],
            group=group[-128:] or None,
            job_type=str(info.get("method") or "") or None,
            tags=self._tags,
            config={**(info.get("config") or {}), **facts},
            allow_val_change=True,
            mode=mode,  # pyright: ignore[reportArgumentType]
            reinit="create_new",
            resume="allow",
            settings=wandb.Settings(**known),
        )

    def _log(self, seed: int, step: int, values: dict[str, Any], from_the_start: bool) -> None:
        known = self._next_step[seed]
        if step < known:
            if from_the_start:
                warn(
                    f"W&B already holds seed {seed} of this run up to step {known - 1}; "
                    "it keeps those rows and gets only later ones."
                )
            return
        self._runs[seed].log(values, step=step, commit=True)
        self._next_step[seed] = step + 1

    def _close(self, seed: int, status: str) -> None:
        run = self._runs.pop(seed)
        run.summary["status"] = status
        run.finish(exit_code=EXIT_CODES.get(status, 1))


def run_id(path: str | Path) -> str:
    """The W&B id of the run in the run directory `path`: a pure function of the absolute path."""
    return hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16]


def row(record: IntervalRecord) -> dict[str, Any]:
    """`record.row()` without the metrics that were not evaluated at this step.

    After divergence NaN is a result, so there it stays.
    """
    values = record.row()
    if not record.diverged:
        for name, value in record.metrics.items():
            if math.isnan(value):
                del values[name]
    return values


@functools.cache
def _bound_exit() -> None:
    """See to it that W&B's own hook, which waits for its service for ever, does not run.

    Registered after that hook, ours is called before it; `teardown` takes it away first of all.
    """
    if "wandb" in sys.modules:
        at_exit(lambda: sys.modules["wandb"].teardown(exit_code=1), EXIT_SECONDS)
