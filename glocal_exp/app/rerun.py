"""`from=RUN_DIR`: the overrides that give the config of a stored run, or study, again.

A stored config is data from a stranger: it chooses among what is here and sets plain values, and
whether it names other code is looked at by `check_targets` before anything is made of it.
"""

import contextlib
import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.utils import get_object

from glocal_exp.app.choices import choices, groups, read
from glocal_exp.app.config import NUMERIC, expanded, numeric_config, plain, targets
from glocal_exp.app.instantiate import first_line
from glocal_exp.app.named import EXAMPLES
from glocal_exp.errors import UserError

GROUPS_KEPT = ("experiment", "dataset", "device", "problem")  # by their choice alone
REPEATED = (*NUMERIC, "problem", "dmd", "steady_state", "augmentation", "device", "microbatch")
REPEATED += ("seed", "validation_chunk", "seeds", "keep_arrays", "study")
"""Keys that are set by value. Where a run is written to and tracked belongs to the machine."""
HOMES = ("models", "tasks", "problems", "methods", "koopman", "engine.modes", "studies")
HOMES = ("optax.", *(f"glocal_exp.{room}." for room in HOMES))
"""Where what a stored config may name is defined: what is set up by it, and does nothing else."""
LARGEST, DEEPEST = 2**20, 20  # bytes of a stored config, and its levels


@dataclass(frozen=True)
class Stored:
    """The run, or study, that a command repeats."""

    path: Path
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def choices(self) -> Mapping[str, Any]:
        """The file that was taken from each group, as far as that is stored."""
        return self.manifest.get("choices") or {}

    @property
    def source(self) -> str:
        """Where its images came from."""
        return str((self.manifest.get("data") or {}).get("source"))

    def overrides(self, by_hand: set[str]) -> list[str]:
        """What gives its config again, but for keys set `by_hand`."""
        return list(_repeated(self, by_hand))

    def _numeric(self, config: Any) -> dict[str, Any]:
        """What its hash is of; training counts where what was stored has trained."""
        numeric = numeric_config(config, self.source) if "method" in self.config else {}
        return numeric | ({"study": plain(config.study)} if "study" in self.config else {})

    def check(self, config: Any) -> None:
        """Raise `UserError` unless `config`, composed of its overrides alone, is the one stored."""
        from glocal_exp.store import config_hash  # the rest does not wait for pandas
        from glocal_exp.store.seal import CHECKSUMS, checksums

        name, sums = "config.yaml", self.manifest.get(CHECKSUMS) or {}
        written = name not in sums or checksums([self.path / name], self.path)[name] == sums[name]
        known = self.manifest.get("config_hash") if written else None
        numeric, own = self._numeric(config), self.manifest.get("own_sources")
        if known is None or config_hash(numeric | ({"own_sources": own} if own else {})) != known:
            raise UserError(
                f"from={self.path} cannot be repeated: its config.yaml is not the one that its "
                "manifest is of, or what it chose is no longer here; give its settings by hand."
            )


def expand(overrides: Sequence[str]) -> tuple[list[str], Stored | None]:
    """Replace `from=RUN_DIR`, the directory of one run, by its settings; the other ones win."""
    given = [line.removeprefix("from=") for line in overrides if line.startswith("from=")]
    others = [line for line in overrides if not line.startswith("from=")]
    if not given:
        return others, None
    if len(given) > 1:
        raise UserError("from= is given twice; name one run directory.")
    stored = _read(Path(expanded("from", given[0])))
    by_hand = {line.split("=")[0].lstrip("+~") for line in others}
    try:
        if _was_given_in_python(stored):
            raise UserError(
                f"from={given[0]} was stored by `run(..., store=...)` in Python, and is repeated "
                "by that call."
            )
        return stored.overrides(by_hand) + others, stored
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise not_repeated(stored) from error


def not_repeated(stored: Stored) -> UserError:
    """The sentence for a config that no run would have written."""
    return UserError(
        f"from={stored.path} cannot be repeated: its config or manifest does not have the form "
        "that runs write; give its settings by hand."
    )


def check_targets(config: Any, trusted: Any, modules: Collection[str]) -> None:
    """Raise `UserError` for code in a config that is of none of `HOMES`.

    Args:
        trusted: a config all of whose targets are.
        modules: so are these, and what they hold.
    """
    for target in sorted(set(targets(config)) - set(targets(trusted))):
        if target.rpartition(".")[0] in modules:
            continue
        home = ""
        with contextlib.suppress(HydraException, ImportError, ValueError, AttributeError):
            if target.startswith(HOMES):
                # The object's own: `glocal_exp.tasks.rules.optax.jnp.save` begins so too.
                home = str(getattr(get_object(target), "__module__", ""))
        if not f"{home}.".startswith(HOMES):
            words = _naming(config.get("problem"))
            raise UserError(
                f"The stored config names {target}, which is no part of this package; if you trust "
                f"it, name it in this command too, as {words.get(target, 'GROUP._target_=...')}"
            )


def _naming(problem: Any) -> dict[str, str]:
    """By what a stored problem names, the words of a command that name all of it."""
    if not isinstance(problem, Mapping):
        return {}
    parts = {"problem": problem.get("problem", problem), EXAMPLES: problem.get("examples")}
    targets = {key: of.get("_target_") for key, of in parts.items() if isinstance(of, Mapping)}
    named = {key: target for key, target in targets.items() if isinstance(target, str)}
    return dict.fromkeys(named.values(), " ".join(f"{k}={v}" for k, v in named.items()))


def _was_given_in_python(stored: Stored) -> bool:
    """Whether its problem was an object, which no command can name."""
    problem, choice = stored.config.get("problem"), stored.choices.get("problem")
    if not isinstance(problem, Mapping) or choice is None or choice in choices("problem"):
        return False
    return choice not in _naming(problem)


def _repeated(stored: Stored, by_hand: set[str]) -> Iterator[str]:
    config = stored.config
    for group, choice in _choices(stored).items():
        elsewhere = "hydra.searchpath" in by_hand and group != "experiment"  # whose are mere names
        here = choice in choices(group.partition("@")[0])
        if group not in by_hand and (elsewhere or here):
            yield f"{group}={choice}"
            if group not in GROUPS_KEPT and isinstance(config.get(group), Mapping):
                content = read(f"{group}/{choice}") if here else {}
                content = content.get(group, content)  # some set other keys of the root too
                yield from _removed(group, content, config[group], by_hand)
    for key, value in config.items():
        if key == "method":  # its references to root keys of the same name stay references
            value = {name: entry for name, entry in value.items() if entry != config.get(name)}
        nothing_chosen = value is None and key in groups()
        if key in REPEATED and not nothing_chosen:
            yield from _leaves(key, value, by_hand)
    dataset = config.get("dataset")  # of whose settings this one decides numbers
    if isinstance(dataset, Mapping) and "imbalance" in dataset and "dataset" not in by_hand:
        yield from _leaves("dataset.imbalance", dataset["imbalance"], by_hand)


def _removed(path: str, default: Any, stored: Any, by_hand: set[str]) -> Iterator[str]:
    """What a group's file has and the run had not (`~task.init.momentum`)."""
    if not isinstance(default, Mapping) or not isinstance(stored, Mapping):
        return
    for name in default.keys() - {"defaults"}:
        if name in stored:
            yield from _removed(f"{path}.{name}", default[name], stored[name], by_hand)
        elif f"{path}.{name}" not in by_hand:
            yield f"~{path}.{name}"


def _choices(stored: Stored) -> dict[str, str]:
    """The file of each group; older runs have stored only some of them."""
    config = stored.config
    platform = (config.get("device") or {}).get("platform")
    named = {**(config.get("names") or {}), "experiment": config.get("experiment")}
    named |= {"device": platform} if platform else {}
    named |= {**stored.choices, "source": stored.source}
    # A preset only sets what is repeated by value; the other two belong to the machine.
    others = {"preset", "tracker", "launcher"}
    # What a group's own file chooses, as search@study, too.
    chosen = {k: v for k, v in named.items() if k.rpartition("@")[2] in groups().keys() - others}
    return {
        group: choice for group, choice in chosen.items() if re.fullmatch(r"[\w.]+", str(choice))
    }


def _leaves(path: str, value: Any, by_hand: set[str]) -> Iterator[str]:
    if path in by_hand:
        return
    dotted = isinstance(value, Mapping) and any("." in str(name) for name in value)  # no path
    if isinstance(value, Mapping) and value and not dotted:
        for name, entry in value.items():
            yield from _leaves(f"{path}.{_checked(path, name)}", entry, by_hand)
    else:
        prefix = "++" if "." in path else ""
        yield f"{prefix}{path}={text_of(value)}"


def _checked(path: str, name: Any) -> str:
    if not re.fullmatch(r"[\w.]+", str(name)):
        raise UserError(f"The stored config has a key that is no name: {path}.{name!r}.")
    return str(name)


def text_of(value: Any) -> str:
    """A plain value in Hydra's override grammar."""
    if isinstance(value, str):
        return QuotedString(value, Quote.double).with_quotes()
    if isinstance(value, bool | None):
        return json.dumps(value)
    if isinstance(value, Mapping):
        pairs = (f"{_checked('', name)}:{text_of(entry)}" for name, entry in value.items())
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(text_of, value)) + "]"
    return repr(value)


def typed(script: str, overrides: Iterable[str]) -> str:
    """A command with these overrides, as one types it in a shell."""
    return shlex.join(["python", f"scripts/{script}.py", *map(_bare, overrides)])


def _bare(word: str) -> str:
    """An override without quotes, where its value is the same text without them."""
    read, bare = OverridesParser.create().parse_override, re.sub(r'="([\w./-]+)"$', r"=\1", word)
    return bare if bare == word or read(bare).value() == read(word).value() else word


def _read(run: Path) -> Stored:
    contents = []
    for name, load in (("config.yaml", _plain_yaml), ("manifest.json", json.loads)):
        try:
            text = (run / name).read_text()
            if len(text) > LARGEST:
                raise ValueError("too long")
            content = load(text)
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            why = getattr(error, "strerror", None) or first_line(error)
            raise UserError(
                f"from={run} is no run directory that can be read ({name}: {why}); give one that "
                "holds config.yaml and manifest.json."
            ) from error
        contents.append(content if isinstance(content, dict) else {})
    return Stored(run, *contents)


def _plain_yaml(text: str) -> Any:
    """Values alone: aliases may stand for more than memory holds, references for any variable."""
    if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
        raise ValueError("an alias")
    content = yaml.safe_load(text)
    if "${" in json.dumps(content, default=str):  # by its values: YAML has other words for them
        raise ValueError("a reference")
    if _depth(content) > DEEPEST:
        raise ValueError("nested too deep")
    return content


def _depth(content: Any) -> int:
    parts = content.values() if isinstance(content, Mapping) else content
    return 1 + max(map(_depth, parts), default=0) if isinstance(content, Mapping | list) else 0
