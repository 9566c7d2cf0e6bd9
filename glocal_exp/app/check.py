"""Checks of what Hydra leaves unchecked: values against the signatures that they are passed to."""

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from hydra.utils import get_object
from omegaconf import DictConfig

from glocal_exp.app.config import plain, seeds
from glocal_exp.app.device import Settings, chosen_settings
from glocal_exp.app.mistakes import unknown
from glocal_exp.errors import UserError

if TYPE_CHECKING:
    from glocal_exp.engine import Plan

TARGETS = ("dataset", "source", "model", "task", "method", "dmd", "steady_state")
TARGETS += ("hypergradient", "meta_optimizer", "tracker", "augmentation")
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


def check(cfg: DictConfig) -> "Plan":
    """Check every setting, without data and before anything is written; returns what they plan.

    Raises:
        UserError: names the key, its value and what it should be.
    """
    seeds(cfg)
    if cfg.study is not None:
        raise UserError("A study is no training run; give the same settings to scripts/study.py.")
    return check_settings(cfg)


def check_settings(cfg: DictConfig) -> "Plan":
    """`check` but for what only a training run asks for."""
    if cfg.precision not in ("float32", "float64"):
        raise UserError(f"precision={cfg.precision} is neither float32 nor float64.")
    _raise_first(_unfit("validation.size", cfg.validation.size, int | float))
    _raise_first(_device_misfits(plain(cfg.device)))
    for group in TARGETS:
        check_group(group, plain(cfg[group]))
    from glocal_exp.app.assemble import (
        make_plan,  # which imports JAX: the rest does not wait for it
    )

    return make_plan(cfg)


def check_group(group: str, node: Any) -> None:
    """Check one group's settings against the signature of its `_target_`; raises `UserError`."""
    _raise_first(mismatches(group, node))


def mismatches(path: str, node: Any) -> Iterator[str]:
    """Sentences about values below `node` that do not fit the signature of its `_target_`."""
    if isinstance(node, Sequence) and not isinstance(node, str):
        for index, item in enumerate(node):
            yield from mismatches(f"{path}[{index}]", item)
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        hints = _parameters(node["_target_"], path)
        given = {name: value for name, value in node.items() if not name.startswith("_")}
        yield from _misfits(path, given, hints)
    for name, value in node.items():
        yield from mismatches(f"{path}.{name}", value)


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain config value can be what the annotation says.

    Annotations of objects that no YAML can hold accept whatever is no word.
    """
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in options)
    if origin is Literal:
        return value in options
    if hint in (None, type(None)):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    if _is(hint, Sequence):
        return isinstance(value, list) and _items_fit(value, options)
    if _is(hint, Mapping):
        return isinstance(value, Mapping)
    unchecked = hint in (Any, inspect.Parameter.empty) or isinstance(hint, TypeVar)
    return unchecked or not isinstance(value, str)


def describe(hint: Any) -> str:
    """An annotation in words."""
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in options if kind is not int or float not in options]
        words = dict.fromkeys(describe(kind) for kind in kinds)
        return " or ".join(word for word in words if word)
    if origin is Literal:
        return " or ".join(map(str, options))
    if _is(hint, Sequence):
        return "a list" + (f" of {len(options)}" if _is_fixed(options) else "")
    if _is(hint, Mapping):
        return "several settings"
    return "null" if hint in (None, type(None)) else WORDS.get(hint, "")


def _is(hint: Any, kind: type) -> bool:
    found = get_origin(hint) or hint
    return inspect.isclass(found) and found is not str and issubclass(found, kind)


def _is_fixed(options: Sequence[Any]) -> bool:
    """Whether what stands in brackets behind `tuple` names each of its items."""
    return len(options) > 1 and options[-1] is not ...


def _items_fit(values: Sequence[Any], options: Sequence[Any]) -> bool:
    if _is_fixed(options):
        return len(values) == len(options) and all(map(fits, values, options))
    return all(fits(value, options[0] if options else Any) for value in values)


def _device_misfits(device: Mapping[str, Any]) -> Iterator[str]:
    hints = get_type_hints(Settings)
    platform = device.get("platform")
    if platform not in ("auto", "cpu", "gpu"):
        yield f"device.platform={platform} is none of auto, cpu and gpu."
    elif platform != "auto":
        yield from _misfits("device", {k: v for k, v in device.items() if k != "platform"}, hints)
    else:
        yield from _misfits("device", device, {"platform": str, "cpu": Mapping, "gpu": Mapping})
        for name in ("cpu", "gpu"):
            yield from _misfits(f"device.{name}", chosen_settings(device, name), hints)


def _misfits(path: str, given: Mapping[str, Any], hints: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        if name not in hints:
            yield unknown(path, name, hints)
        else:
            yield from _unfit(f"{path}.{name}", value, hints[name])


def _unfit(path: str, value: Any, hint: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and "_target_" in value:
        return
    if isinstance(value, Mapping) and _is(hint, Mapping):
        for name, entry in value.items():
            yield from _unfit(f"{path}.{name}", entry, [*get_args(hint), Any, Any][1])
    elif not fits(value, hint):
        yield f"{path}={value} should be {describe(hint) or 'of another type'}."


def _parameters(target: str, path: str) -> dict[str, Any]:
    """Names that a `_target_` takes, with their annotations."""
    try:
        found = get_object(target)
    except Exception as error:
        raise UserError(
            f"{path}._target_={target} cannot be imported; correct the dotted path of a class or "
            "function."
        ) from error
    try:
        hints = get_type_hints(found.__init__ if inspect.isclass(found) else found)
    except (NameError, TypeError):
        hints = {}
    parameters = inspect.signature(found).parameters
    return {name: hints.get(name, Any) for name in parameters if name != "key"}


def _raise_first(sentences: Iterator[str]) -> None:
    for sentence in sentences:
        raise UserError(sentence)
