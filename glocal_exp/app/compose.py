"""From overrides to configs: the jobs of a sweep, or the one of a plain command.

Hydra's compose API rather than its `main`, since that would write files of its own, print lines of
its own around errors, and go on with the next job after Ctrl-C.
"""

import contextlib
import copy
import functools
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from glocal_exp.app.choices import groups
from glocal_exp.app.combinations import Composed, combinations
from glocal_exp.app.config import OF_IMAGES, PATHS, Schema, expanded, plain
from glocal_exp.app.mistakes import missing_key, sentence, unknown_key
from glocal_exp.app.named import EXAMPLES, offer_problems
from glocal_exp.app.rerun import Stored, check_targets, expand, not_repeated
from glocal_exp.errors import UserError
from glocal_exp.places import CONFIGS

WITHOUT_EFFECT = (*OF_IMAGES, "dataset", "augmentation")
"""Keys of images, which a problem with its own examples does not look at."""
NOT_ACCEPTED = (HydraException, OmegaConfBaseException, AssertionError)
"""What Hydra and OmegaConf raise of overrides."""
ENVIRONMENT = re.compile(r"\$\{oc\.env:[^{}]*\}")
# What Hydra logs it also raises.
logging.getLogger("hydra").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Job:
    """One run of the program."""

    name: str  # the overrides in which it differs from the other jobs of its sweep
    config: DictConfig  # resolved, without Hydra's own part
    choices: dict[str, str]  # the file taken from each group
    overrides: tuple[str, ...] = ()  # all that it is composed of


def jobs(overrides: Sequence[str], sweep: bool, modules: Sequence[str] = ()) -> list[Job]:
    """Every combination of the swept values, the first override changing slowest.

    A setting of a swept choice is for those choices that have it: `method=none,glocal
    method.window=60` sets glocal's window.

    What Hydra does not accept in any of them is a `UserError`, and `from=` a directory of no run.

    Args:
        modules: further ones that a stored config may name.
    """
    made, last = [], []
    composed = functools.cache(_composed)  # jobs that differ in values alone share a config
    with _hydra():
        try:
            offered = offer_problems(overrides)
            lines, stored = expand(overrides)
            trusted = _trusted(overrides, stored) if stored else None
            typed = [line.split("=", 1)[1] for line in overrides if "_target_=" in line]
            named = {*modules, *offered, *(target.rpartition(".")[0] for target in typed)}
            for name, last in combinations(lines, sweep, composed):
                made.append(_job(name, last, composed))
                if stored:
                    check_targets(plain(made[-1].config), trusted, named)
            _check_effect(made, overrides)
        except (*NOT_ACCEPTED, ValueError, yaml.YAMLError) as error:
            settings = _settings(last) if missing_key(error) else {}
            raise UserError(sentence(error, settings)) from error
    return made


@contextlib.contextmanager
def _hydra() -> Iterator[None]:
    """Hydra on our configs, though the program that calls may be of Hydra too."""
    before, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = before, config


def _check_effect(made: Sequence[Job], overrides: Sequence[str]) -> None:
    """Refuse settings of images where every problem brings its own examples."""
    names = [job.choices.get("problem") for job in made if job.config.problem is not None]
    if len(names) < len(made):
        return
    for line in overrides:
        key, _, value = line.lstrip("+").partition("=")
        if key.split(".")[0] in WITHOUT_EFFECT and value != "null":
            raise UserError(
                f"{line} has no effect: problem={names[0]} brings its own examples and "
                "hyperparameters; leave that out."
            )


def _composed(overrides: tuple[str, ...]) -> tuple[DictConfig, dict[str, str]]:
    """What Hydra composes but for its own part, and the file taken from each group."""
    cfg = compose("main", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    chosen = cfg.hydra.runtime.choices.items()
    choices = {k: v for k, v in chosen if not k.startswith("hydra/") and v is not None}
    OmegaConf.resolve(cfg.names)  # they refer to Hydra's own part, which is known now alone
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


_parse = functools.cache(lambda line: OverridesParser.create().parse_override(line))


def _with_values(overrides: Sequence[str], composed: Composed) -> tuple[DictConfig, dict[str, str]]:
    """`_composed` of all overrides: of the choices of groups, with the values set afterwards."""
    chosen = {*groups(), "hydra.searchpath"}
    values = [line for line in overrides if re.split("[@=]", line)[0] not in chosen]
    in_order = any(line[0] in "+~" or "@" in line.split("=")[0] for line in values)
    with contextlib.suppress(*NOT_ACCEPTED):
        if not in_order:
            config, choices = composed(tuple(line for line in overrides if line not in values))
            config = copy.deepcopy(config)
            for override in map(_parse, values):
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
            if "${hydra:" not in OmegaConf.to_yaml(config):  # of which every job has its own
                return config, choices
    config, choices = composed(tuple(overrides))  # or Hydra says what is wrong
    return copy.deepcopy(config), choices


def _job(name: str, overrides: Sequence[str], composed: Composed = _composed) -> Job:
    composite, choices = _with_values(overrides, composed)
    others: Any = OmegaConf.to_container(composite)
    config: Any = OmegaConf.create(others)  # of no type, since a reference is of any
    for key in sorted(others.keys() - Schema.__annotations__):
        raise UserError(unknown_key(key, {k: v for k, v in others.items() if k != key}))
    for key in sorted(OmegaConf.missing_keys(config)):
        as_what = "FUNCTION, which takes a seed and returns Splits" if key == EXAMPLES else "VALUE"
        raise UserError(f"{key} has no value; give it one as {key}={as_what}.")
    for key in PATHS:
        if config[key] is not None:  # which what refers to it sees too
            config[key] = expanded(key, str(config[key]))
        if config[key] == "":
            raise UserError(f"{key}= names no folder; give one, or leave it out.")
    _decode(config)
    OmegaConf.resolve(config)
    typed: Any = OmegaConf.merge(OmegaConf.structured(Schema), config)
    return Job(name, typed, choices, tuple(overrides))


def _decode(node: Any, path: str = "") -> None:
    """Read what an environment variable holds as if it had been typed: `false` is no text."""
    keys = range(len(node)) if OmegaConf.is_list(node) else list(node)
    for key in keys:
        name = f"{path}.{key}" if path else str(key)
        if OmegaConf.is_missing(node, key):
            continue
        if not OmegaConf.is_interpolation(node, key):
            if OmegaConf.is_config(node[key]):
                _decode(node[key], name)
            continue
        unresolved: Any = OmegaConf.to_container(node, resolve=False)
        raw = str(unresolved[key])
        if name in PATHS or name.startswith("tracker.") or not ENVIRONMENT.fullmatch(raw):
            continue
        text = OmegaConf.create([raw])[0]
        with contextlib.suppress(HydraException):  # text it is
            node[key] = OverridesParser.create().parse_override(f"x={text}").value()


def _trusted(overrides: Sequence[str], stored: Stored) -> Any:
    """What the files name that this command chooses.

    Raises:
        UserError: the stored run's settings do not give its config again.
    """
    path = [line for line in overrides if line.startswith("hydra.searchpath=")]
    repeated = stored.overrides({"hydra.searchpath"} if path else set())
    try:
        stored.check(_job("", [*path, *repeated]).config)
    except (AttributeError, TypeError, KeyError) as error:  # Hydra's, of odd values
        raise not_repeated(stored) from error
    choosing = {*groups(), EXAMPLES}
    by_hand = [line for line in overrides if line.split("=")[0] in choosing]
    keys = {line.split("=")[0] for line in by_hand}
    groups_left = groups().keys() - keys
    chosen = [one for one in repeated if one.split("=")[0].rpartition("@")[2] in groups_left]
    return plain(_job("", [*path, *chosen, *by_hand]).config)


def _settings(overrides: Sequence[str]) -> Any:
    """All settings that the choices among these have."""
    chosen = [line for line in overrides if line.split("=")[0] in {*groups(), "hydra.searchpath"}]
    return OmegaConf.to_container(compose("main", chosen))


def as_yaml(config: Any) -> str:
    """A config as YAML text."""
    return OmegaConf.to_yaml(config)
