"""The shape of the root config, and checks that name the key at fault."""

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.utils import get_object
from omegaconf import MISSING, DictConfig, OmegaConf

from glocal_exp.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"
NUMERIC = (
    "steps",
    "interval",
    "batch_size",
    "eval_every",
    "validation",
    "model",
    "task",
    "method",
    "hypergradient",
    "meta_optimizer",
    "carry_tangents",
    "stop_when_diverged",
    "precision",
)
"""Keys that decide a run's numbers, seed and platform apart; the rest is where and how it runs."""


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
    """Types of the root config's own keys; groups are checked where they are built."""

    dataset: Any = MISSING
    source: Any = MISSING
    model: Any = MISSING
    task: Any = MISSING
    method: Any = MISSING
    dmd: Any = None
    steady_state: Any = None
    hypergradient: Any = MISSING
    meta_optimizer: Any = MISSING
    device: Any = MISSING
    tracker: Any = MISSING
    steps: int = MISSING
    interval: int = MISSING
    batch_size: int = MISSING
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


def chosen_device(cfg: DictConfig, platform: str) -> dict[str, Any]:
    """The settings of the device group for the platform that JAX runs on (`cpu` or `gpu`)."""
    device = cfg.device[platform] if cfg.device.platform == "auto" else cfg.device
    return plain(device)


def plain(node: Any) -> Any:
    """A config node as dicts, lists and scalars, with references resolved."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def numeric_config(cfg: DictConfig, source: str) -> dict[str, Any]:
    """The part of the config that a run's path and staleness follow from."""
    config = {key: plain(cfg[key]) for key in NUMERIC}
    return config | {"dataset": cfg.dataset.name, "bundled": source == "bundled"}


def variant(cfg: DictConfig, digits: str) -> str:
    """The folder between experiment and seed: `<method>-<hash of the numeric config>`."""
    return f"{cfg.names.method}-{digits}"


def seeds(cfg: DictConfig) -> list[int]:
    """The seeds that this program trains.

    Raises:
        UserError: for an empty list, a repeated or a negative seed.
    """
    chosen = [cfg.seed] if cfg.seeds is None else list(cfg.seeds)
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0:
        raise UserError(f"seeds={chosen} is not a list of different whole numbers from 0 on.")
    return chosen


def check(cfg: DictConfig) -> None:
    """Check what Hydra leaves unchecked: group values against the signatures they are passed to.

    Raises:
        UserError: names the key, its value and what it should be.
    """
    if cfg.precision not in ("float32", "float64"):
        raise UserError(f"precision={cfg.precision} is neither float32 nor float64.")
    size = cfg.validation.size
    if isinstance(size, bool) or not isinstance(size, int | float):
        raise UserError(f"validation.size={size} is neither a count nor a fraction.")
    for group in ("method", "dmd", "steady_state", "model"):
        for problem in mismatches(group, plain(cfg[group])):
            raise UserError(problem)
    _check_numbers("task.init", plain(cfg.task).get("init") or {})


def mismatches(path: str, node: Any) -> Iterator[str]:
    """Sentences about values below `node` that do not fit the signature of its `_target_`."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        return
    target = get_object(node["_target_"])
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    for name, value in node.items():
        if name.startswith("_"):
            continue
        if name not in parameters:
            known = ", ".join(n for n in parameters if n != "key")
            yield f"{path} has no setting {name!r}; it has {known or 'none'}."
        elif isinstance(value, Mapping) and "_target_" in value:
            yield from mismatches(f"{path}.{name}", value)
        elif name in hints and not fits(value, hints[name]):
            yield f"{path}.{name}={value} should be {describe(hints[name])}."


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain config value can be what the annotation says; unknown annotations accept."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint in (None, type(None)):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    return True


def describe(hint: Any) -> str:
    """An annotation in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(option) for option in get_args(hint))
    if origin is Literal:
        return " or ".join(map(str, get_args(hint)))
    return "null" if hint in (None, type(None)) else words.get(hint, str(hint))


def _hints(target: Any) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):
        return {}


def _check_numbers(path: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"{path}.{name}={value} should be a number.")
