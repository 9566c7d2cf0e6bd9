"""What Hydra and OmegaConf say over several lines, as one sentence that names the fix."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache

import yaml

from glocal_exp.app.config import CONFIGS

WHERE_TO_LOOK = "`--cfg job` prints the settings that there are."


def sentence(error: BaseException) -> str:
    """One sentence for what `hydra.compose` raised."""
    text, cause = str(error), str(error.__cause__ or "")
    if match := re.search(r"Could not find '(?P<group>.+)/(?P<name>[^'/]*)'", text):
        return _unknown_choice(match["group"], match["name"])
    if key := missing_key(error):
        return unknown_key(key)
    twice = r"Multiple values for (?P<group>\S+?)\.|^(?P<again>\S+) appears more than once"
    if match := re.search(twice, text):
        group = match["group"] or match["again"]
        return f"{group} is given twice; say {group}=CHOICE once, without +."
    if "override_grammar" in text:
        return _syntax(text)
    described = cause if "full_key" in cause else text
    if match := re.search(r"full_key: (?P<key>\S+)", described):
        return _wrong_value(match["key"], described.splitlines()[0])
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"{first.rstrip('.')}; {WHERE_TO_LOOK}"


def unknown_key(key: str, settings: Mapping | None = None) -> str:
    """The sentence for a setting that does not exist.

    Args:
        settings: those that there are, nested as `key` is.
    """
    group, _, setting = key.partition(".")
    if others := _choices_with(group, setting):
        return f"There is no setting {key} here; {group}={' and '.join(others)} would have it."
    path, name, known = _missing(key, settings or {})
    if known:
        return unknown(path, name, known)
    hint = _hint(group, [*groups(), *root_keys()]) if not path else ""
    return f"There is no setting {key}; {hint}{WHERE_TO_LOOK}"


def _missing(key: str, settings: Mapping) -> tuple[str, str, list[str]]:
    """Where a key leaves the settings, its first name that is not there, and the names that are."""
    path, names = [], key.split(".")
    while len(names) > 1 and isinstance(settings.get(names[0]), Mapping):
        settings = settings[names[0]]
        path.append(names.pop(0))
    known = [str(name) for name in settings if not str(name).startswith("_")]
    if not path or names[0] in settings:  # below a value there is nothing
        return ".".join(path), "", []
    return ".".join(path), names[0], known


def unknown(path: str, name: str, known: Collection[str]) -> str:
    """The sentence for a setting that is not among those `known` below `path`."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {path}.{close[0]}? " if close else ""
    return f"There is no setting {path}.{name}; {hint}{path} has {', '.join(known) or 'none'}."


def missing_key(error: BaseException) -> str | None:
    """The setting that `hydra.compose` was to override and did not find."""
    match = re.match(r"Could not override '(?P<key>[^']+)'", str(error))
    return match["key"] if match else None


def _choices_with(group: str, name: str) -> list[str]:
    """The files of a group that have a setting of this name."""
    files = sorted((CONFIGS / group).glob("*.yaml")) if group in groups() else []
    return [file.stem for file in files if name in (yaml.safe_load(file.read_text()) or {})]


def _unknown_choice(group: str, name: str) -> str:
    options = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    return f"There is no {group}={name}; {_hint(name, options)}choose one of {', '.join(options)}."


def _wrong_value(key: str, said: str) -> str:
    if re.search(r"[Kk]ey '.*' (is )?not in", said):
        return unknown_key(key)
    if match := re.match(r"Value '(?P<value>.*)' of type '.*' could not be converted", said):
        kind = "a whole number" if "Integer" in said else "of another type"
        return f"{key}={match['value']} should be {kind}."
    if match := re.match(r"Value '(?P<value>.*)' is not a valid bool", said):
        return f"{key}={match['value']} should be true or false."
    if "is not a ListConfig" in said:
        return f"{key} should be a list, as {key}=[0,1]."
    if "is not a subclass of" in said:
        return f"{key} holds several settings; set one of them, as {key}.NAME=VALUE."
    if "is not Optional" in said:
        return f"{key} cannot be null; give it a value."
    return f"{key}: {said.rstrip('.')}; give it another value."


def _syntax(text: str) -> str:
    if match := re.match(r"Error parsing override '(?P<override>.*)'", text):
        return f"{match['override']!r} cannot be read; write KEY=VALUE."
    if match := re.search(r"LexerNoViableAltException: (?P<override>.*)", text):
        return f"{match['override']!r} cannot be read; write KEY=VALUE without spaces around =."
    part = re.search(r"input '(?P<part>.*)'", text)
    near = f" near {part['part']}" if part else ""
    return (
        f"An override cannot be read{near}; close every bracket and quote, and put the whole of it "
        "in single quotes for the shell."
    )


def _hint(name: str, options: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, options, n=1)
    return f"did you mean {close[0]}? " if close else ""


def groups() -> list[str]:
    """The groups that the root config chooses from, in its order."""
    entries = [e for e in _root()["defaults"] if isinstance(e, dict)]
    names = [key for entry in entries for key in entry]
    return [name for name in names if not name.startswith("override ")]


def root_keys() -> list[str]:
    """The root config's own keys, with those that a preset sets."""
    own = [key for key in _root() if key not in ("defaults", "hydra")]
    return ["steps", "interval", *own]


@cache
def _root() -> dict:
    return yaml.safe_load((CONFIGS / "main.yaml").read_text())
