"""The shape of the root config, and the part of it that a run's identity follows from."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from glocal_exp.errors import UserError
from glocal_exp.records import LARGEST_SEED

NUMERIC = ("steps", "interval", "batch_size", "eval_every", "validation", "model", "task", "method")
NUMERIC += ("hypergradient", "meta_optimizer", "carry_tangents", "stop_when_diverged", "precision")
"""Keys that decide a run's numbers, seed and platform apart; the rest is where and how it runs."""
OF_IMAGES = ("validation", "model", "task")
"""Those of them that a problem with its own examples leaves without effect."""
PATHS = ("output_dir", "data_dir")


@dataclass
class Pieces:
    """Examples at a time, by platform."""

    cpu: int | None = None
    gpu: int | None = None


@dataclass
class Validation:
    """Held-out images."""

    size: Any = MISSING
    subset: int | None = None
    balanced: bool = False


@dataclass
class KeepArrays:
    """Outer steps whose arrays are stored."""

    first: int = MISSING
    every: int = MISSING


@dataclass
class Schema:
    """Types of the root config's own keys; groups are checked against what they are passed to."""

    dataset: Any = MISSING
    source: Any = MISSING
    augmentation: Any = None
    model: Any = MISSING
    task: Any = MISSING
    method: Any = MISSING
    dmd: Any = None
    steady_state: Any = None
    hypergradient: Any = MISSING
    meta_optimizer: Any = MISSING
    device: Any = MISSING
    tracker: Any = MISSING
    launcher: Any = MISSING
    study: Any = None
    problem: Any = None
    steps: int = MISSING
    interval: int = MISSING
    batch_size: int = MISSING
    microbatch: Pieces = field(default_factory=Pieces)
    validation_chunk: Pieces = field(default_factory=Pieces)
    eval_every: int | None = None
    seed: int = MISSING
    seeds: list[int] | None = None
    validation: Validation = field(default_factory=Validation)
    carry_tangents: bool = False
    stop_when_diverged: bool = False
    precision: str = "float32"
    keep_arrays: KeepArrays = field(default_factory=KeepArrays)
    experiment: str = MISSING
    output_dir: str = MISSING
    data_dir: str | None = None
    sweep: Any = None
    names: dict[str, str] = field(default_factory=dict)


ConfigStore.instance().store("schema", Schema)


def plain(node: Any) -> Any:
    """A config node as dicts, lists and scalars, with references resolved."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a plain config."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield str(value)
            yield from targets(value)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for value in node:
            yield from targets(value)


def expanded(key: str, path: str) -> str:
    """A path with the home folder for ~; `UserError` where there is none."""
    whole = os.path.expanduser(path)
    if whole.startswith("~"):
        raise UserError(f"{key}={path}: there is no such home folder here; give the whole path.")
    return whole


def numeric_config(cfg: DictConfig, source: str) -> dict[str, Any]:
    """The part of the config that a run's path and staleness follow from."""
    config = {key: plain(cfg[key]) for key in NUMERIC}
    if cfg.get("problem") is not None:
        own = {key: value for key, value in config.items() if key not in OF_IMAGES}
        return own | {"problem": plain(cfg.problem)}
    config |= {"dataset": cfg.dataset.name, "bundled": source == "bundled"}
    optional = {"imbalance": cfg.dataset.get("imbalance"), "augmentation": cfg.augmentation}
    return config | {key: plain(node) for key, node in optional.items() if node is not None}


def seeds(cfg: DictConfig) -> list[int]:
    """The seeds that this program trains; `UserError` if none, one twice, or out of range."""
    chosen = [cfg.seed] if cfg.seeds is None else list(cfg.seeds)
    name = f"seed={cfg.seed}" if cfg.seeds is None else f"seeds={chosen}"
    if not chosen:
        raise UserError("seeds=[] names no seed; give some, as seeds=[0,1].")
    if min(chosen) < 0 or max(chosen) > LARGEST_SEED:
        raise UserError(f"{name} is out of range; give whole numbers from 0 to {LARGEST_SEED}.")
    if len(set(chosen)) < len(chosen):
        raise UserError(f"{name} names a seed twice; give each once.")
    return chosen
