"""Weights & Biases as a mirror of the records; the one module that imports `wandb`."""

import contextlib
import hashlib
import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, final

from glocal_exp.errors import UserError
from glocal_exp.records import IntervalRecord
from glocal_exp.tracking.sink import Sink, warn
from glocal_exp.tracking.surroundings import (
    check_names,
    give_home,
    has_key,
    refused_variables,
    unreachable,
)

MODES = ("auto", "online", "offline")
EXIT_CODES = {"complete": 0, "failed": 1, "interrupted": 255}  # 255: what W&B shows as killed
GRACE_SECONDS = 15.0  # choice: for importing wandb, and for starting its service
PROBE_SECONDS = 10.0  # choice: after this a server that has not answered is not there


@final
@dataclass(eq=False)
class WandbSink(Sink):
    """One W&B run per seed; a resumed run goes on with the same one.

    Its calls may hang, so it is to be used through a `Fanout`; the run goes on without it. Only a
    stop asked for on W&B's pages reaches the run, as Ctrl-C does.

    `configs/tracker` explains its settings. The mode `auto` is what W&B's own (`WANDB_MODE`, `wandb
    offline`) say, and online only if `has_key`. Without a key or a server that opens them, runs are
    kept offline, where they wait for `wandb sync`.
    """

    name = "W&B"

    mode: str = "auto"
    _: KW_ONLY
    project: str | None = None
    entity: str | None = None
    tags: Sequence[str] = ()
    dir: str | Path = "outputs"
    start_seconds: float = 30.0
    finish_seconds: float = 60.0

    def __post_init__(self):
        if self.mode not in MODES:
            raise UserError(f"W&B has no mode {self.mode!r}: choose one of {', '.join(MODES)}.")
        self.project = self.project or os.environ.get("WANDB_PROJECT") or "glocal"
        words = map(str.strip, os.environ.get("WANDB_TAGS", "").split(","))
        self.tags = [str(tag) for tag in self.tags] or [word for word in words if word]
        check_names(self.project, self.tags)
        self._probe_seconds = min(self.start_seconds, PROBE_SECONDS)
        self.patience = {  # a start may be a question, a run that fails and one offline
            "start": self._probe_seconds + self.start_seconds + 2 * GRACE_SECONDS,
            "finish": self.finish_seconds + GRACE_SECONDS,
        }
        self._runs: dict[int, Any] = {}
        self._next_step: dict[int, int] = {}

    def start(self, run_info: Mapping[str, Any]) -> None:
        # W&B sends reports about itself even from offline runs, and would wait for them at the end
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")  # of where it finds its settings, too
        os.makedirs(self.dir, exist_ok=True)
        give_home(self.dir)
        mode = self._choose(self._setup())
        # with a full disk each line of W&B's debug.log would print a traceback
        logging.getLogger("wandb").setLevel(logging.CRITICAL)
        try:
            run = self._open(run_info, mode)
        except Exception as error:
            if mode != "online":
                raise
            run = self._reopen(run_info)
            self._stay_offline(" ".join((str(error) or repr(error)).split())[:200])
        self._runs[run_info["seed"]] = run
        self._next_step[run_info["seed"]] = int(run.step) if run.resumed else 0

    def record(self, record: IntervalRecord) -> None:
        """Log the record's row at its training step, unless W&B already holds that one."""
        values, next_step = row(record), self._next_step[record.seed]
        if record.step >= next_step:
            self._runs[record.seed].log(values, step=record.step, commit=True)
            self._next_step[record.seed] = record.step + 1
        elif record.outer_step == 0:
            warn(
                f"W&B already holds seed {record.seed} of this run up to step {next_step - 1}; "
                "it keeps those rows and gets only later ones."
            )

    def finish(self, status: str, seed: int) -> None:
        """Close a W&B run, which uploads what is left."""
        run = self._runs.pop(seed)
        run.summary["status"] = status
        run.finish(exit_code=EXIT_CODES.get(status, 1))

    @staticmethod
    def abandon() -> None:
        """Take away W&B's own hook, which would wait for its service for ever at the end."""
        if wandb := sys.modules.get("wandb"):
            # Before its teardown, which takes it away only once the service has answered.
            with contextlib.suppress(Exception):
                wandb.sdk.wandb_setup.singleton()._connection._cleanup()
            wandb.teardown(exit_code=1)

    @staticmethod
    def _setup() -> Any:
        """W&B's own settings, made without the variables for which it would refuse to start."""
        import wandb

        names = ("WANDB_PROJECT", "WANDB_TAGS", *refused_variables())  # the two are read here
        away = {name: os.environ.pop(name) for name in names if name in os.environ}
        try:
            return wandb.setup(settings=wandb.Settings(silent=True)).settings
        finally:
            os.environ.update(away)

    def _choose(self, settings: Any) -> str:
        """The mode of the next run; whatever keeps it from being online is told once."""
        if self.mode == "offline":
            return self.mode
        if self.mode == "auto" and settings.mode != "online":
            return settings.mode
        reason = next(iter(refused_variables().values()), None)
        if reason is None and not has_key(settings.base_url, settings.api_key):
            if self.mode == "auto":
                return "offline"
            reason = "no API key is configured, run `wandb login` to change that"
        # asked first: W&B itself would try for `start_seconds`
        reason = reason or unreachable(settings.base_url, self._probe_seconds)
        return "online" if reason is None else self._stay_offline(reason)

    def _stay_offline(self, reason: str) -> str:
        warn(f"W&B cannot be used online, so its runs are kept offline ({reason})")
        self.mode = "offline"
        return self.mode

    def _open(self, run_info: Mapping[str, Any], mode: str, **changed: Any) -> Any:
        import wandb

        return wandb.init(
            **_description(run_info) | changed,
            project=self.project,
            entity=self.entity,
            tags=self.tags,
            dir=os.path.abspath(self.dir),
            mode=mode,  # pyright: ignore[reportArgumentType]
            settings=self._settings(),
            allow_val_change=True,
            reinit="create_new",
            resume="allow",
        )

    def _reopen(self, run_info: Mapping[str, Any]) -> Any:
        """Open offline what failed online; its id stays in use for as long as W&B's service."""
        import wandb

        if self._runs:  # which would end with the service
            return self._open(run_info, "offline", id=f"{run_id(run_info['path'])}-offline")
        with contextlib.suppress(Exception, SystemExit):  # of a service that has died
            wandb.teardown(exit_code=1)
        self._setup()
        return self._open(run_info, "offline")

    def _settings(self) -> Any:
        """What is wanted of W&B, as far as the installed version knows it."""
        import wandb

        on = ("silent", "disable_git", "disable_code", "label_disable")
        on += ("x_disable_stats", "x_disable_machine_info")
        off = ("save_code", "use_dot_wandb", "x_save_requirements")
        wanted = {**dict.fromkeys(on, True), **dict.fromkeys(off, False), "console": "off"}
        wanted |= dict.fromkeys(("init_timeout", "x_service_wait"), self.start_seconds)
        wanted |= {"finish_timeout": self.finish_seconds}
        known = wandb.Settings.model_fields
        return wandb.Settings(**{k: v for k, v in wanted.items() if k in known})


def _description(info: Mapping[str, Any]) -> dict[str, Any]:
    """What W&B is to know of a run, from what `Sink.start` is told."""
    group = f"{info['experiment']}/{info['variant']}"
    facts = {key: info[key] for key in ("experiment", "variant", "seed", "data")}
    return {
        "id": run_id(info["path"]),
        "name": (os.environ.get("WANDB_NAME") or f"{group}/seed={info['seed']}")[-128:],
        "group": (os.environ.get("WANDB_RUN_GROUP") or group)[-128:],
        "job_type": info["method"],
        "config": {**info["config"], **facts},
    }


def run_id(path: str | Path) -> str:
    """The W&B id of the run in the run directory `path`: a pure function of the absolute path."""
    return hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16]


def row(record: IntervalRecord) -> dict[str, Any]:
    """`record.row()` without the metrics that were not evaluated at this step.

    After divergence NaN is a result, so there it stays.
    """
    values = record.row()
    for name in () if record.diverged else record.metrics:
        if math.isnan(values[name]):
            del values[name]
    return values
