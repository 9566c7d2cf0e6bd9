"""Objects from YAML files: Hydra's `_target_`, for what does without Hydra."""

import importlib
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from glocal_exp.errors import UserError


def entries(config: Path) -> dict[str, Any]:
    """What a YAML file says."""
    found = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def load(config: Path, but: str = "") -> Any:
    """The object that a YAML file's `_target_` names, made from its other entries but one.

    Raises:
        UserError: it cannot be.
    """
    settings = {key: value for key, value in entries(config).items() if key != but}
    if "_target_" not in settings:
        raise UserError(f"{config} names no _target_; give it the dotted path of a class")
    module, _, name = str(settings.pop("_target_")).rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)(**settings)
    except (ImportError, AttributeError, TypeError) as error:
        raise UserError(f"{config} cannot be used: {error}; correct it") from error
