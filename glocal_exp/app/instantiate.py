"""From `_target_` to an object: Hydra's `instantiate`, with the user's mistakes as a sentence."""

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from glocal_exp.app.config import plain
from glocal_exp.errors import UserError


def instantiate_group(group: str, node: Any, **extra: Any) -> Any:
    """What a group's node names; `UserError` for settings that it does not take.

    `extra` are objects: they are bound in Python, since Hydra would turn dataclasses into configs.
    """
    config = plain(node)
    finished = not config.pop("_partial_", False)
    try:
        factory = instantiate(OmegaConf.create(config), _convert_="all", _partial_=True)
        bound = partial(factory, **extra)
        return bound() if finished else bound
    except (InstantiationException, TypeError) as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"The settings of {group} do not fit: {first_line(cause)}.") from error


def signature_of(target: str, where: str) -> tuple[Any, Mapping[str, inspect.Parameter]]:
    """What a dotted path leads to, and its parameters; `UserError` if they cannot be had."""
    try:
        factory = get_object(target)
        return factory, inspect.signature(factory).parameters
    except Exception as error:  # whatever its module raises
        raise UserError(f"{where}={target} cannot be imported: {why_not(str(target))}.") from error


def taken(node: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments `offered` that the node's target has a parameter for."""
    try:
        _, parameters = signature_of(str(plain(node).get("_target_")), "_target_")
    except UserError:
        return offered  # `instantiate_group` says what is wrong
    return {name: value for name, value in offered.items() if name in parameters}


def why_not(path: str) -> str:
    """Why a dotted path leads to no class or function."""
    module, _, name = path.rpartition(".")
    if not module:
        return "it is no dotted path; write it as module.Name"
    try:
        holder = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if module != error.name and not module.startswith(f"{error.name}."):
            return first_line(error)  # what the module itself imports
        here = "in this folder, " if {"", os.getcwd()} & {*sys.path} else ""
        where = f"looked for {here}in those of PYTHONPATH, and where packages are"
        return f"{first_line(error)} ({where})"
    except Exception as error:  # whatever it raises
        return f"its module raises {type(error).__name__}: {first_line(error)}"
    if hasattr(holder, name):
        return "it is nothing that can be called"
    close = difflib.get_close_matches(name, [n for n in vars(holder) if n[0] != "_"], n=1)
    hint = f", but {close[0]}" if close else ""
    return f"{getattr(holder, '__file__', module)} has no {name}{hint}"


def first_line(error: BaseException) -> str:
    """Of its message, without a full stop; its type if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
