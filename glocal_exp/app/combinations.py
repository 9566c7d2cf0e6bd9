"""Overrides as they are typed, and the combinations of the values that a sweep gives them."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.choices import groups
from glocal_exp.app.config import PATHS, Schema
from glocal_exp.app.mistakes import no_choice
from glocal_exp.errors import UserError

Composed = Callable[[tuple[str, ...]], tuple[DictConfig, dict[str, str]]]
SCALARS = Schema.__annotations__.keys() - {"seeds"}  # and groups: never a list


def combinations(
    overrides: Sequence[str], sweep: bool, composed: Composed
) -> Iterator[tuple[str, list[str]]]:
    """Name and overrides of each job.

    `method=none,glocal method.window=1,2 steps=9` are four combinations. Since glocal has a window
    and none has not, the two with none come to the same, and three jobs are left:

        method=none                    method=none steps=9
        method=glocal method.window=1  method=glocal method.window=1 steps=9
        method=glocal method.window=2  method=glocal method.window=2 steps=9
    """
    loader = GlobalHydra.instance().config_loader()
    parser = OverridesParser.create(config_loader=loader)
    nothing = _nothing_chosen()
    kept = [_quoted(line, sweep) for line in overrides if line not in nothing]
    parsed = parser.parse_overrides(kept)
    lines = [_alternatives(override, sweep) for override in parsed]
    swept = [line for alternatives in lines if len(alternatives) > 1 for line in alternatives]
    path = [str(override.input_line) for override in parsed if override.is_hydra_override()]
    # For each override the swept choices that it is for, of which a job has to have one.
    needed = [
        _choices_with(first.split("=")[0], swept, lambda c: composed((*path, *({c} - nothing)))[0])
        for first, *_ in lines
    ]
    combinations = dict.fromkeys(
        tuple(line for line, of in zip(chosen, needed, strict=True) if not of or of & set(chosen))
        for chosen in itertools.product(*lines)
    )
    for chosen in combinations:
        name = " ".join([line for line in chosen if line in swept] or chosen)
        yield name, [line for line in chosen if line not in nothing]


def _alternatives(override: Override, sweep: bool) -> list[str]:
    """An override as it was typed, or one for each of its values.

    Refuses what Hydra accepts or words badly, but makes no sense here.
    """
    key, line = override.key_or_group, str(override.input_line)
    if not key:
        raise UserError(f"{line!r} cannot be read; write KEY=VALUE.")
    if override.is_hydra_override() and key != "hydra.searchpath":
        raise UserError(
            f"{key} has no effect here; launcher=NAME says how jobs run, and run directories "
            "follow from output_dir, config and seed."
        )
    if override.is_delete() and "." not in key:
        raise UserError(f"{line}: every run needs {key}; leave that out, or set it to something.")
    lines = [line]
    if override.is_sweep_override():
        lines = [f"{override.get_key_element()}={v}" for v in override.sweep_string_iterator()]
        if not lines:
            raise UserError(f"{line} gives no value at all; write some, as {key}=1,2.")
        if not sweep:
            listed = bool(re.fullmatch(r"seed=[\d,]+", line))
            raise UserError(
                f"{line} gives several values; add -m to run them one after another"
                + (f", or write seeds=[{line[5:]}] to train them in one program" * listed)
                + (f", or write {key}=[...] for a list" * (key not in SCALARS))
                + "."
            )
    elif key in groups() and not override.is_delete() and not isinstance(override.value(), str):
        raise UserError(f"{line} names no choice; write {key}=NAME, --help lists the names.")
    for name in [line.partition("=")[2] for line in lines] if key in groups() else []:
        if not override.is_delete() and not re.fullmatch(r"[\w.-]*(?<!\.yaml)", name.strip("'\"")):
            raise UserError(no_choice(key, name))  # Hydra would look into other folders
    return lines


def _nothing_chosen() -> set[str]:
    """The overrides that ask for what an optional group has by default: nothing."""
    optional = [group for group, choice in groups().items() if choice is None]
    return {line for group in optional for line in (f"{group}=null", f"~{group}")}


def _quoted(override: str, sweep: bool) -> str:
    """A path with quotes around it: Hydra would read 2024_11_25 as a number, and ~ or = not at all.

    As it was typed where it has quotes already, or is null, or is one of several values.
    """
    key, equals, value = override.partition("=")
    if key.lstrip("+") not in PATHS or not equals or value == "null":
        return override
    if re.match(r"""['"\[{]|\w+\(.*\)$""", value) or ("," in value and not sweep):
        return override
    values = [QuotedString(entry.strip(), Quote.double) for entry in value.split(",")]
    return f"{key}=" + ",".join(quoted.with_quotes() for quoted in values)


def _choices_with(key: str, swept: Sequence[str], config_of: Callable[[str], Any]) -> set[str]:
    """Of a swept group those choices that have this setting of it."""
    group, _, setting = key.partition(".")
    if not setting or group not in groups():
        return set()
    choices = [choice for choice in swept if choice.startswith(f"{group}=")]
    return {c for c in choices if OmegaConf.select(config_of(c), key, default=...) is not ...}
