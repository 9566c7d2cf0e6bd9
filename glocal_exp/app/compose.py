"""From overrides to configs: the jobs of a sweep, or the one of a plain command.

Hydra's compose API rather than its `main`, since that would write files of its own, print lines of
its own around errors, and go on with the next job after Ctrl-C.
"""

import contextlib
import functools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from glocal_exp.app.choices import groups, root_of
from glocal_exp.app.combinations import combinations
from glocal_exp.app.config import OF_IMAGES, PATHS, Schema, expanded, plain
from glocal_exp.app.mistakes import sentence, unknown_key
from glocal_exp.app.named import EXAMPLES, offer_problems
from glocal_exp.app.rerun import Stored, check_targets, expand
from glocal_exp.errors import UserError
from glocal_exp.places import CONFIGS

WITHOUT_EFFECT = (*OF_IMAGES, "dataset", "augmentation")
"""Keys of images, which a problem with its own examples does not look at."""
Composed = Callable[[tuple[str, ...]], DictConfig]
ENVIRONMENT = re.compile(r"\$\{oc\.env:[^{}]*\}")
# What Hydra logs it also raises.
logging.getLogger("hydra").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Job:
    """One run of the program.

    Attributes:
        name: the overrides in which it differs from the other jobs of its sweep.
        config: resolved, without Hydra's own part.
        choices: the file taken from each group.
        overrides: all that it is composed of.
    """

    name: str
    config: DictConfig
    choices: dict[str, str]
    overrides: tuple[str, ...] = ()


def jobs(overrides: Sequence[str], sweep: bool, modules: Sequence[str] = ()) -> list[Job]:
    """Every combination of the swept values, the first override changing slowest.

    A setting of a swept choice is for those choices that have it: `method=none,glocal
    method.window=60` sets glocal's window.

    What Hydra does not accept in any of them is a `UserError`, and `from=` a directory of no run.

    Args:
        modules: further ones that a stored config may name.
    """
    made = []

    @functools.cache  # jobs that differ in values alone share a config
    def composed(files: tuple[str, ...]) -> DictConfig:
        return compose("main", list(files), return_hydra_config=True)

    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            offered = offer_problems(overrides)
            lines, stored = expand(overrides)
            typed = [line.split("=", 1)[1] for line in overrides if "_target_=" in line]
            named = {*modules, *offered, *(target.rpartition(".")[0] for target in typed)}
            if stored:
                path = [line for line in lines if line.startswith("hydra.searchpath=")]
                stored.check(lambda: _job("", path, composed, stored).config)
            for name, chosen in combinations(lines, sweep):
                made.append(_job(name, chosen, composed, stored))
                if stored:
                    files = composed(_choosing(chosen, stored))
                    trusted = OmegaConf.to_container(files, resolve=False)
                    check_targets(plain(made[-1].config), trusted, named)
            _check_effect(made, overrides)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise UserError(sentence(error)) from error
    return made


def _check_effect(made: Sequence[Job], overrides: Sequence[str]) -> None:
    """Refuse settings of images where every problem brings its own examples."""
    names = [job.choices.get("problem") for job in made if job.config.problem is not None]
    if len(names) < len(made):
        return
    for line in overrides:
        if root_of(line) in WITHOUT_EFFECT and not line.endswith("=null"):
            raise UserError(
                f"{line} has no effect: problem={names[0]} brings its own examples and "
                "hyperparameters; leave that out."
            )


_parse = functools.cache(lambda line: OverridesParser.create().parse_override(line))


def _keys(overrides: Sequence[str]) -> list[str]:
    return [line.split("=")[0].lstrip("+~") for line in overrides]


def _choosing(overrides: Sequence[str], stored: Stored | None) -> tuple[str, ...]:
    """The overrides that take files, a stored run's first."""
    keys, known = _keys(overrides), {*groups(), "hydra.searchpath"}
    repeated = stored.choosing(keys) if stored else []
    pairs = zip(keys, overrides, strict=True)
    return (*repeated, *(line for key, line in pairs if "@" in key or key in known))


def _with_values(
    overrides: Sequence[str], composed: Composed, stored: Stored | None
) -> tuple[DictConfig, dict[str, str]]:
    """What Hydra makes of overrides, but for its own part; and the file taken from each group.

    Files are composed first, once for all jobs that take the same; then come a stored run's values,
    and those of the overrides, as Hydra sets them.
    """
    files = _choosing(overrides, stored)
    whole = composed(files)
    HydraConfig.instance().set_config(whole)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    if stored:
        stored.lay_over(config, _keys(overrides))
    OmegaConf.set_struct(config, True)
    values = [_parse(line) for line in overrides if line not in files]
    try:  # Hydra's own step after composing, which its public functions do not offer alone
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
    except HydraException as error:
        raise UserError(sentence(error, OmegaConf.to_container(config))) from error
    OmegaConf.set_struct(config, False)
    chosen = whole.hydra.runtime.choices.items()
    return config, {k: v for k, v in chosen if not k.startswith("hydra/") and v is not None}


def _job(name: str, overrides: list[str], composed: Composed, stored: Stored | None) -> Job:
    config, choices = _with_values(overrides, composed, stored)
    known = {entry.name for entry in fields(Schema)}
    for key in sorted(set(map(str, config)) - known):
        others: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, [*known]))
        raise UserError(unknown_key(key, others))
    for key in sorted((known - set(config)) | OmegaConf.missing_keys(config)):
        as_what = "FUNCTION, which takes a seed and returns Splits" if key == EXAMPLES else "VALUE"
        raise UserError(f"{key} has no value; give it one as {key}={as_what}.")
    for key in PATHS:
        if config[key] is not None:  # which what refers to it sees too
            config[key] = expanded(key, config[key])
        if config[key] == "":
            raise UserError(f"{key}= names no folder; give one, or leave it out.")
    _decode(config)
    OmegaConf.resolve(config)
    # Once more, since a reference is of any type.
    typed: Any = OmegaConf.merge(OmegaConf.structured(Schema), config)
    words = (f"from={stored.path}",) if stored else ()
    return Job(name or " ".join(words), typed, choices, (*words, *overrides))


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
        with contextlib.suppress(HydraException):  # text it is
            node[key] = OverridesParser.create().parse_override(f"x={node[key]}").value()


def as_yaml(config: Any) -> str:
    """A config as YAML text."""
    return OmegaConf.to_yaml(config)
