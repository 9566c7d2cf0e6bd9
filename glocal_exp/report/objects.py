"""Objects from YAML files: what of Hydra's `defaults` and `_target_` does without Hydra."""

import importlib
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from glocal_exp.errors import UserError


def compose(config: Path) -> DictConfig:
    """A YAML file over those that its `defaults` name: of its own folder, or `{/folder: name}`.

    What is taken from another folder lies under that folder's name.

    Raises:
        UserError: a file is not there.
    """
    if not config.is_file():
        raise UserError(f"there is no {config}; choose another of {config.parent}")
    own = OmegaConf.load(config)
    defaults = own.pop("defaults", ()) if isinstance(own, DictConfig) else ()
    parts = []
    for entry in defaults:
        if isinstance(entry, DictConfig):
            ((folder, name),) = entry.items()
            folder = str(folder).removeprefix("/")
            parts.append({folder: compose(config.parents[1] / folder / f"{name}.yaml")})
        elif entry != "_self_":  # its own entries come last anyway
            parts.append(compose(config.with_stem(entry)))
    merged = OmegaConf.merge(*parts, own)
    assert isinstance(merged, DictConfig)
    return merged


def entries(config: Path) -> dict[str, Any]:
    """What a YAML file says, with its defaults."""
    found = OmegaConf.to_container(compose(config), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def swept(experiment: Path) -> dict[str, Any]:
    """What an experiment's file sweeps over by key, and those that it begins with."""
    own: Any = OmegaConf.to_container(OmegaConf.load(experiment))
    found: dict[str, Any] = {}
    for other in own.get("defaults") or ():
        if isinstance(other, str) and other != "_self_":
            found |= swept(experiment.with_stem(other))
    return found | (own.get("sweep") or {})


def load(config: Path) -> Any:
    """The object that a YAML file's `_target_` names, made from its other entries.

    Raises:
        UserError: it cannot be.
    """
    settings = entries(config)
    if "_target_" not in settings:
        raise UserError(f"{config} names no _target_; give it the dotted path of a class")
    return instantiate(settings, config)


def instantiate(settings: Any, config: Path) -> Any:
    """Every mapping inside that has a `_target_`, as the object that this names.

    Raises:
        UserError: one cannot be made; `config` is the file to correct.
    """
    if isinstance(settings, list):
        return [instantiate(value, config) for value in settings]
    if not isinstance(settings, dict):
        return settings
    values = {key: instantiate(value, config) for key, value in settings.items()}
    if "_target_" not in values:
        return values
    try:
        return named(str(values.pop("_target_")))(**values)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(f"{config} cannot be used: {error}; correct it") from error


def named(path: str) -> Any:
    """What a dotted path leads to."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
