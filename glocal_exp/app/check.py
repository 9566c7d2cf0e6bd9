"""Checks of what Hydra leaves unchecked: values against the signatures that they are passed to."""

import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig

from glocal_exp.app.config import plain, seeds
from glocal_exp.app.device import Settings, chosen_settings
from glocal_exp.app.instantiate import signature_of
from glocal_exp.app.mistakes import unknown
from glocal_exp.errors import UserError

if TYPE_CHECKING:
    from glocal_exp.engine import Plan

# Types of what YAML holds, in words, with the types that a value may be of.
WORDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    bool: ("true or false", (bool,)),
    str: ("a word", (str,)),
    NoneType: ("null", (NoneType,)),
}


def check(cfg: DictConfig) -> "Plan":
    """Check every setting, without data; the `UserError` names one and what it should be."""
    seeds(cfg)
    if cfg.study is not None:
        raise UserError("A study is no training run; give the same settings to `glocal study`.")
    return check_settings(cfg)


def check_settings(cfg: DictConfig) -> "Plan":
    """`check` but for what only a training run asks for; returns what the settings plan."""
    if cfg.precision not in ("float32", "float64"):
        raise UserError(f"precision={cfg.precision} is neither float32 nor float64.")
    for key, name in (("experiment", cfg.experiment), ("names.method", cfg.names.method)):
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{key}={name} should name a folder inside of output_dir.")
    _check_value("validation.size", cfg.validation.size, int | float)
    _check_data_dir(cfg)
    check_device(plain(cfg.device))
    try:
        import jax  # noqa: F401, as whatever is named below does
    except ValueError as error:  # of a variable JAX_...
        raise UserError(f"JAX does not start: {error}; unset or correct the variable.") from error
    for key in map(str, cfg):
        check_group(key, plain(cfg[key]))
    from glocal_exp.app.assemble import make_plan  # imports JAX: the rest does not wait for it

    return make_plan(cfg)


def _check_data_dir(cfg: DictConfig) -> None:
    """Refuse a folder that was typed and that the source, chosen by a preset, does not look at."""
    looks = "data_dir" in cfg.source or "sources" in cfg.source
    if cfg.data_dir and not looks and cfg.data_dir != os.environ.get("GLOCAL_DATA_DIR"):
        raise UserError(
            f"data_dir={cfg.data_dir} is not looked at by {cfg.source._target_}, the chosen source;"
            " add source=files or source=auto, or leave out data_dir."
        )


def check_group(path: str, node: Any) -> None:
    """Check all settings below `node` against the signature of the `_target_` that they are for."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            check_group(f"{path}[{index}]", item)
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        values = {name: value for name, value in node.items() if not name.startswith("_")}
        _check_values(path, values, _parameters(node["_target_"], path))
    for name, value in node.items():
        check_group(f"{path}.{name}", value)


def expected(hint: Any) -> tuple[str, Callable[[Any], bool]]:
    """An annotation in words, and whether a plain config value can be what it says.

    Annotations of objects that no YAML can hold accept whatever is no word.
    """
    options = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        parts = [expected(one) for one in options if one is not int or float not in options]
        words = " or ".join(dict.fromkeys(words for words, _ in parts if words))
        return words, lambda value: any(fits(value) for _, fits in parts)
    if get_origin(hint) is Literal:
        return " or ".join(map(str, options)), lambda value: value in options
    if hint is Any or isinstance(hint, TypeVar):
        return "", lambda value: True
    if _is(hint, Mapping):
        return "several settings", lambda value: isinstance(value, dict)
    if _is(hint, Sequence) and len(options) > 1 and options[-1] is not ...:
        return f"a list of {len(options)}", lambda value: _fit(value, options)
    if _is(hint, Sequence):
        item = options[:1] or (Any,)
        words = expected(item[0])[0]
        words = f"a list, each of it {words}" if words else "a list"
        return words, lambda value: isinstance(value, list) and _fit(value, item * len(value))
    words, kinds = WORDS.get(hint, ("", ()))
    return words, lambda value: type(value) in kinds if kinds else not isinstance(value, str)


def _fit(values: Any, hints: Sequence[Any]) -> bool:
    return (
        isinstance(values, list)
        and len(values) == len(hints)
        and all(expected(hint)[1](value) for value, hint in zip(values, hints, strict=True))
    )


def _is(hint: Any, kind: type) -> bool:
    hinted = get_origin(hint) or hint
    return inspect.isclass(hinted) and hinted is not str and issubclass(hinted, kind)


def check_device(device: Mapping[str, Any]) -> None:
    """Check the settings of the device group, of whatever platform."""
    platform = device.get("platform")
    if platform not in ("auto", "cpu", "gpu"):
        raise UserError(f"device.platform={platform} is none of auto, cpu and gpu.")
    parts = {"device": platform}
    if platform == "auto":
        _check_values("device", device, {"platform": str, "cpu": Mapping, "gpu": Mapping})
        parts = {"device.cpu": "cpu", "device.gpu": "gpu"}
    for path, name in parts.items():
        _check_values(path, chosen_settings(device, name), get_type_hints(Settings))


def _check_values(path: str, values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in hints:
            raise UserError(unknown(path, name, hints))
        _check_value(f"{path}.{name}", value, hints[name])


def _check_value(path: str, value: Any, hint: Any) -> None:
    if isinstance(value, Mapping) and "_target_" in value:
        return
    if isinstance(value, Mapping) and _is(hint, Mapping):
        for name, entry in value.items():
            _check_value(f"{path}.{name}", entry, [*get_args(hint), Any, Any][1])
        return
    words, fits = expected(hint)
    if not fits(value):
        said = f"{path}={value} should be {words or 'of another type'}"
        text: Any = str(value)
        if isinstance(value, list):
            text = [str(entry) if isinstance(entry, int | float) else entry for entry in value]
        if value != text and fits(text):
            said += f"; quote numbers, as '{path}={json.dumps(text)}'"
        raise UserError(f"{said}.")


def _parameters(target: str, path: str) -> dict[str, Any]:
    """Names that a `_target_` takes, with their annotations."""
    factory, parameters = signature_of(target, f"{path}._target_")
    try:
        hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (NameError, TypeError):
        hints = {}
    return {name: hints.get(name, Any) for name in parameters if name != "key"}
