"""What Hydra and OmegaConf say over several lines, as one sentence that names the fix."""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

import yaml

from glocal_exp.app.choices import choices, groups, read
from glocal_exp.app.instantiate import first_line
from glocal_exp.app.say import hint_at

SEVERAL = 3  # choice: settings that a sentence may name
WHERE_TO_LOOK = "`--cfg job` prints the settings that there are."
TWICE = "{0} is given twice; say {0}=CHOICE once, without +."
OF_OVERRIDES = {
    r"Multiple values for (\S+?)\.": TWICE,
    r"^(\S+) appears more than once": TWICE,
    r"^Error parsing override '(.*)'": "{0!r} cannot be read; write KEY=VALUE.",
    r"LexerNoViableAltException: (.*)": "{0!r} cannot be read; write KEY=VALUE without spaces "
    "around =.",
}
OF_VALUES = {
    r"Value '(.*)' of type '.*' could not be converted to Integer": "{key}={0} should "
    "be a whole number, without point or exponent.",
    r"Value '(.*)' of type '.*' could not be converted": "{key}={0} should be of another type.",
    r"Value '(.*)' is not a valid bool": "{key}={0} should be true or false.",
    r"is not a ListConfig": "{key} should be a list, as {key}=[0,1].",
    r"is not a subclass of": "{key} holds several settings; set one of them, as {key}.NAME=VALUE.",
    r"is not Optional": "{key} cannot be null; give it a value.",
}


def sentence(error: BaseException, settings: Mapping) -> str:
    """One sentence for what `hydra.compose` raised; `settings` are those that there are."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"{mark.name}, line {mark.line + 1}, is no YAML: {error.problem}; correct it."
    text, cause = str(error), str(error.__cause__ or "")
    if match := re.search(r"Could not find '(.+)/([^'/]*)'", text):
        return no_choice(*match.groups())
    if key := missing_key(error):
        return unknown_key(key, settings)
    if words := _first(OF_OVERRIDES, text):
        return words
    if "override_grammar" in text:
        part = re.search(r"input '([^']*)'", text)
        where = f" near {part[1]}" if part and part[1] != "<EOF>" else " to its end"
        return (
            f"An override cannot be read{where}; close every bracket and quote, leave no space "
            "after a comma, and put the whole of it in single quotes for the shell."
        )
    described = cause if "full_key" in cause else text
    if match := re.search(r"full_key: (\S+)", described):
        key, said = match[1], described.splitlines()[0]
        if re.search(r"[Kk]ey '.*' (is )?not in", said):
            return unknown_key(key)
        return _first(OF_VALUES, said, key) or f"{key}: {said.rstrip('.')}; give it another value."
    return f"{first_line(error)}; {WHERE_TO_LOOK}"


def no_choice(group: str, name: str) -> str:
    """The sentence for a choice that a group does not have."""
    hint = hint_at(name.removesuffix(".yaml").strip("/").rpartition("/")[2], choices(group))
    more = ", or name your own class, as problem=mymodule.MyProblem" * (group == "problem")
    return f"There is no {group}={name}; {hint}choose one of {', '.join(choices(group))}{more}."


def unknown_key(key: str, settings: Mapping = MappingProxyType({})) -> str:
    """The sentence for a setting that does not exist among those that there are."""
    group, _, setting = key.partition(".")
    files = choices(group) if group in groups() else []
    if others := [file for file in files if setting in read(f"{group}/{file}")]:
        named = " or ".join(filter(None, [", ".join(others[:-1]), others[-1]]))
        return f"There is no setting {key} here; {group}={named} would have it."
    path, names, leaves = [], key.split("."), _leaves(settings)
    while len(names) > 1 and isinstance(settings.get(names[0]), Mapping):
        settings = settings[names[0]]
        path.append(names.pop(0))
    known = [str(name) for name in settings if not str(name).startswith("_")]
    above = "".join(f"{name}." for name in path)
    same = [leaf for leaf in leaves if leaf.rpartition(".")[2] == names[-1]]
    same = [leaf for leaf in same if leaf.startswith(above)][:SEVERAL]
    if not same and path and known and names[0] not in settings:  # below a value there is nothing
        return unknown(".".join(path), names[0], known)
    # The last two are set by the presets.
    of_root = [*groups(), *read("main").keys() - {"defaults"}, "steps", "interval"]
    hint = "" if path else hint_at(group, of_root)
    if same:
        hint = f"did you mean {' or '.join(same)}? "
    return f"There is no setting {key}; {hint}{WHERE_TO_LOOK}"


def unknown(path: str, name: str, known: Collection[str]) -> str:
    """The sentence for a setting that is not among those `known` below `path`."""
    hint = hint_at(name, known, f"{path}.")
    return f"There is no setting {path}.{name}; {hint}{path} has {', '.join(known) or 'none'}."


def missing_key(error: BaseException) -> str | None:
    """The setting that `hydra.compose` was to override and did not find."""
    match = re.match(r"Could not override '(?P<key>[^']+)'", str(error))
    return match["key"] if match else None


def _first(sentences: Mapping[str, str], text: str, key: str = "") -> str | None:
    """The sentence of the first pattern that the text has."""
    for pattern, words in sentences.items():
        if match := re.search(pattern, text):
            return words.format(*match.groups(), key=key)
    return None


def _leaves(settings: Mapping, path: str = "") -> list[str]:
    """Dotted paths of all that is no mapping, but for what Hydra alone reads."""
    return [
        leaf
        for name, value in settings.items()
        if not str(name).startswith("_")
        for leaf in (
            _leaves(value, f"{path}{name}.") if isinstance(value, Mapping) else [f"{path}{name}"]
        )
    ]
