"""Weights & Biases as a mirror of the records; the one module that imports `wandb`."""

import hashlib
import http.client
import logging
import math
import netrc
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from glocal_exp.errors import UserError
from glocal_exp.records import IntervalRecord
from glocal_exp.tracking.sink import Sink, warn

MODES = ("auto", "online", "offline")
EXIT_CODES = {"complete": 0, "failed": 1, "interrupted": 255}  # 255: what W&B shows as killed
GRACE_SECONDS = 15.0  # choice: for importing wandb and asking whether its server is there
PROBE_SECONDS = 10.0  # choice: after this a server that has not answered is not there


@final
@dataclass(eq=False)
class WandbSink(Sink):
    """One W&B run per seed; a resumed run goes on with the same one.

    Its calls may hang, so it is to be used through a `Fanout`; the run goes on without it. Only a
    stop asked for on W&B's pages reaches the run, as Ctrl-C does.

    Attributes:
        mode: `online`, `offline`, or `auto`: what W&B's settings (`WANDB_MODE`, `wandb offline`)
            say, and online only if `has_key`. Without a key or a server to talk to, runs are kept
            offline.
        project: W&B project.
        entity: W&B user or team; None for the user's default.
        tags: tags of every run.
        dir: W&B puts its folder `wandb` here; offline runs wait there for `wandb sync`.
        start_seconds: what opening a run may take.
        finish_seconds: what uploading the rest may take at the end.
    """

    name = "W&B"

    mode: str = "auto"
    _: KW_ONLY
    project: str = "glocal"
    entity: str | None = None
    tags: Sequence[str] = ()
    dir: str | Path = "outputs"
    start_seconds: float = 30.0
    finish_seconds: float = 60.0

    def __post_init__(self):
        if self.mode not in MODES:
            raise UserError(f"W&B has no mode {self.mode!r}: choose one of {', '.join(MODES)}.")
        seconds = {"start": self.start_seconds, "finish": self.finish_seconds}
        self.patience = {call: wait + GRACE_SECONDS for call, wait in seconds.items()}
        self._runs: dict[int, Any] = {}
        self._next_step: dict[int, int] = {}

    def start(self, run_info: Mapping[str, Any]) -> None:
        # W&B sends reports about itself even from offline runs, and would wait for them at the end
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        wandb.setup(settings=wandb.Settings(silent=True))
        # with a full disk each line of W&B's debug.log would print a traceback
        logging.getLogger("wandb").setLevel(logging.CRITICAL)
        os.makedirs(self.dir, exist_ok=True)
        run = wandb.init(
            **_description(run_info),
            project=self.project,
            entity=self.entity,
            tags=[str(tag) for tag in self.tags],
            dir=os.path.abspath(self.dir),
            mode=self._choose(wandb.setup().settings),  # pyright: ignore[reportArgumentType]
            settings=self._settings(),
            allow_val_change=True,
            reinit="create_new",
            resume="allow",
        )
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
            wandb.teardown(exit_code=1)

    def _choose(self, settings: Any) -> str:
        """The mode of the next run; whatever keeps it from being online is told once."""
        if self.mode == "offline":
            return self.mode
        key = has_key(settings.base_url, settings.api_key)
        if self.mode == "auto" and (settings.mode != "online" or not key):
            return settings.mode if settings.mode != "online" else "offline"
        reason = "no API key is configured, run `wandb login` to change that"
        if key:
            # asked before W&B is: its id stays in use in a service that failed to open a run
            seconds = min(self.start_seconds, PROBE_SECONDS)
            reason = unreachable(settings.base_url, seconds)
        if reason is None:
            return "online"
        warn(f"W&B cannot be used online, so its runs are kept offline ({reason})")
        self.mode = "offline"
        return self.mode

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
        "name": f"{group}/seed={info['seed']}"[-128:],
        "group": group[-128:],
        "job_type": info["method"],
        "config": {**info["config"], **facts},
    }


def run_id(path: str | Path) -> str:
    """The W&B id of the run in the run directory `path`: a pure function of the absolute path."""
    return hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16]


def has_key(base_url: str, api_key: str | None = None) -> bool:
    """Whether W&B would find credentials for the server at `base_url`.

    It looks where W&B looks: the key in its settings, which also hold `WANDB_API_KEY`; the
    variables themselves; the netrc file that `wandb login` writes.
    """
    if api_key or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    files = map(os.path.expanduser, (os.environ.get("NETRC", ""), "~/.netrc", "~/_netrc"))
    host = urlsplit(base_url).netloc
    # the same server has both names, and a key for the older one is good for the newer one
    hosts = [host, "api.wandb.ai"] if host == "api.forge.coreweave.com" else [host]
    try:
        entries = netrc.netrc(next(filter(os.path.exists, files)))
    except (StopIteration, netrc.NetrcParseError, OSError):
        return False
    return any((entry := entries.authenticators(name)) and entry[2] for name in hosts)


def unreachable(url: str, seconds: float) -> str | None:
    """Why a server cannot be reached, or None if it gives any answer in time."""
    try:
        urllib.request.urlopen(url, timeout=seconds).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        # the second is an answer too, if one that this Python's certificates do not cover
        answers = urllib.error.HTTPError, ssl.SSLCertVerificationError
        if not (isinstance(error, answers) or isinstance(reason, answers)):
            return f"{urlsplit(url).netloc}: {reason}"
    return None


def row(record: IntervalRecord) -> dict[str, Any]:
    """`record.row()` without the metrics that were not evaluated at this step.

    After divergence NaN is a result, so there it stays.
    """
    values = record.row()
    for name in () if record.diverged else record.metrics:
        if math.isnan(values[name]):
            del values[name]
    return values
