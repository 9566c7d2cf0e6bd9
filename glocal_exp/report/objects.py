"""Objects from YAML files: what of Hydra's `defaults` and `_target_` does without Hydra."""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from glocal_exp.errors import UserError

WRONG = (ImportError, AttributeError, TypeError, ValueError, LookupError, YAMLError)
WRONG += (OmegaConfBaseException,)
"""What a mistake in a YAML file raises."""


def compose(config: Path) -> DictConfig:
    """A YAML file over those that its `defaults` name: of its own folder, or `{/folder: name}`.

    What is taken from another folder lies under that folder's name.

    Raises:
        UserError: a file is not there.
    """
    if not config.is_file():
        raise UserError(f"there is no {config}; choose another of {config.parent}")
    own, parts = _read(config), []
    for entry in own.pop("defaults", ()):
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
    with _in_one_sentence(config):
        found: Any = OmegaConf.to_container(compose(config), resolve=True)
        return {str(key): value for key, value in found.items()}


def swept(experiment: Path) -> dict[str, Any]:
    """What an experiment's file sweeps over by key, and those that it begins with."""
    own: Any = OmegaConf.to_container(_read(experiment))
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
    with _in_one_sentence(config):
        return named(str(values.pop("_target_")))(**values)


def named(path: str) -> Any:
    """What a dotted path leads to."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _read(config: Path) -> DictConfig:
    with _in_one_sentence(config):
        found = OmegaConf.load(config)
        if not isinstance(found, DictConfig):
            raise TypeError("it has no entries of the form KEY: VALUE")
        return found


@contextlib.contextmanager
def _in_one_sentence(config: Path) -> Iterator[None]:
    """What is wrong in a file as one sentence that names it."""
    try:
        yield
    except WRONG as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{config} cannot be used: {reason}; correct it") from error
