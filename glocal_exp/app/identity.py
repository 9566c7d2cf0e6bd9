"""What a run is called, and what its config.yaml, its manifest and its sinks say about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.build import Experiment
from glocal_exp.app.config import numeric_config, plain, variant
from glocal_exp.store import config_hash, run_path, source_fingerprint, target_modules

# What decides a run's numbers beside the modules that its config names.
ENGINE = ("glocal_exp.app.assemble",)
NAMES = ("method", "dataset", "model", "task")
NOT_THE_RUN = ("output_dir", "data_dir", "tracker", "source", "sweep", "study")


@dataclass(frozen=True)
class Identity:
    """A job's place among all runs, seed aside.

    Attributes:
        facts: what the manifest says about it: names, hashes, the code that counts.
    """

    root: Path
    facts: dict[str, Any]

    @classmethod
    def of(cls, experiment: Experiment) -> "Identity":
        """A pure function of the config, and of whether the data are the embedded ones."""
        cfg = experiment.cfg
        numeric = numeric_config(cfg, experiment.data.source)
        modules = sorted({*ENGINE, *target_modules(numeric)})
        digits = config_hash(numeric)
        facts = {
            "experiment": cfg.experiment,
            "variant": variant(cfg, digits),
            **{name: cfg.names[name] for name in NAMES},
            "choices": dict(experiment.choices),
            "config_hash": digits,
            "source_hash": source_fingerprint(modules),
            "source_modules": modules,
        }
        return cls(Path(cfg.output_dir) / "runs", facts)

    def path(self, seed: int) -> Path:
        """The run directory."""
        return run_path(self.root, self.facts["experiment"], self.facts["variant"], seed)


def stored_config(cfg: DictConfig, seed: int) -> dict[str, Any]:
    """One seed's resolved config, without what belongs to the machine rather than to the run."""
    config = {name: value for name, value in plain(cfg).items() if name not in NOT_THE_RUN}
    return config | {"seed": seed, "seeds": None}


def config_text(cfg: DictConfig, seed: int) -> str:
    """`stored_config` as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(stored_config(cfg, seed)))


def run_facts(experiment: Experiment, seed: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's part that differs by seed or by machine."""
    return {
        "seed": seed,
        "precision": experiment.cfg.precision,
        "device": experiment.device.facts(),
        "data": dict(data),
    }


def run_info(
    experiment: Experiment, identity: Identity, seed: int, resumed_step: int
) -> dict[str, Any]:
    """What sinks are told when a run starts; see `tracking.Sink.start`."""
    cfg = experiment.cfg
    return {
        **{key: identity.facts[key] for key in ("experiment", "variant", *NAMES)},
        "seed": seed,
        "steps": cfg.steps,
        "interval": cfg.interval,
        "outer_steps": cfg.steps // cfg.interval,
        "path": str(identity.path(seed)),
        "config": stored_config(cfg, seed),
        "data": experiment.data.notice or experiment.data.title,
        "resumed_step": resumed_step,
    }
