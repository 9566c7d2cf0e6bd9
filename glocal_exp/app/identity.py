"""What a run is called, and what its config.yaml, its manifest and its sinks say about it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from glocal_exp.app.config import numeric_config, plain
from glocal_exp.app.named import own_sources
from glocal_exp.store import config_hash, environment, run_path, source_fingerprint, target_modules

if TYPE_CHECKING:  # which imports JAX
    from glocal_exp.app.build import Experiment

# What decides a run's numbers beside the modules that its config names.
ENGINE = ("glocal_exp.app.assemble",)
NAMES = ("method", "dataset", "model", "task")
NOT_THE_RUN = ("output_dir", "data_dir", "tracker", "launcher", "source", "sweep", "study")
# What is kept of each command; the rest of a manifest is what the last one wrote.
SESSION = ("started", "command", "git", "packages", "python", "platform", "processor", "device")


class Identity:
    """A job's place among all runs, and what is written about each of its seeds.

    Attributes:
        facts: what the manifest says about all of them: names, hashes, the code that counts.
    """

    def __init__(self, experiment: "Experiment"):
        self.experiment, cfg = experiment, experiment.cfg
        self.facts = identified(cfg, experiment.data.source)
        self.facts |= {name: cfg.names[name] for name in NAMES}
        if cfg.problem is not None:
            self.facts |= dict.fromkeys(NAMES[1:], experiment.data.title)
        self.facts |= {"choices": dict(experiment.choices)}

    def path(self, seed: int) -> Path:
        """The run directory."""
        return place(self.experiment.runs, self.facts, seed)

    def manifest(
        self, seed: int, data: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a command writes as it begins, over what earlier ones have stored."""
        now = environment() | self.facts | run_facts(self.experiment, seed, data)
        session = {key: now[key] for key in SESSION} | {"data_fingerprint": data["fingerprint"]}
        earlier = {"started": stored.get("started", now["started"]), "ended": None}
        sessions = {"sessions": [*stored.get("sessions", []), session]}
        return now | earlier | sessions | {"status": "running", "diverged": False, "error": None}

    def told(self, seed: int, resumed_step: int) -> dict[str, Any]:
        """What sinks are told when a run starts; see `tracking.Sink.start`."""
        cfg, data = self.experiment.cfg, self.experiment.data
        info = {key: self.facts[key] for key in ("experiment", "variant", *NAMES)}
        info |= {"seed": seed, "steps": cfg.steps, "interval": cfg.interval}
        info |= {"outer_steps": cfg.steps // cfg.interval, "resumed_step": resumed_step}
        info |= {"path": str(self.path(seed)), "data": data.notice or data.title}
        return info | {"config": stored_config(cfg, seed)}


def identified(cfg: DictConfig, source: str) -> dict[str, Any]:
    """Experiment, variant and hashes of a config's runs on images from a source."""
    hashed = hashes(numeric_config(cfg, source), ENGINE)
    variant = f"{cfg.names.method}-{hashed['config_hash']}"
    return {"experiment": cfg.experiment, "variant": variant} | hashed


def place(runs: str | Path, facts: Mapping[str, Any], seed: int) -> Path:
    """The directory of a run that is `identified` so, in the folder of all."""
    return run_path(Path(runs), facts["experiment"], facts["variant"], seed)


def hashes(config: Mapping[str, Any], engine: Iterable[str]) -> dict[str, Any]:
    """What says whether stored numbers are those of a config and of today's code, `engine` too."""
    modules, sources = sorted({*engine, *target_modules(config)}), own_sources(dict(config))
    own = {"own_sources": sources} if sources else {}
    digests = {"config_hash": config_hash({**config, **own})} | own
    return digests | {"source_hash": source_fingerprint(modules), "source_modules": modules}


def stored_config(cfg: DictConfig, seed: int) -> dict[str, Any]:
    """One seed's resolved config, without what belongs to the machine rather than to the run."""
    config = {name: value for name, value in plain(cfg).items() if name not in NOT_THE_RUN}
    return config | {"seed": seed, "seeds": None}


def run_facts(experiment: "Experiment", seed: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's part that differs by seed or by machine."""
    about = {"seed": seed, "precision": experiment.cfg.precision, "data": dict(data)}
    return about | {"device": experiment.device.facts()}
