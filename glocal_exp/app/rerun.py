"""`from=RUN_DIR`: a stored run's config again.

A stored config is data from a stranger: it chooses among what is here, its plain values are laid
over that, and whether it names other code is looked at by `check_targets` before anything is made
of it.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.choices import choices, groups
from glocal_exp.app.config import NUMERIC, expanded, numeric_config, targets
from glocal_exp.app.instantiate import first_line
from glocal_exp.app.named import EXAMPLES
from glocal_exp.errors import UserError

GROUPS_KEPT = ("experiment", "dataset", "device", "problem")  # by their choice alone
REPEATED = (*NUMERIC, "problem", "dmd", "steady_state", "augmentation", "device", "microbatch")
REPEATED += ("seed", "validation_chunk", "seeds", "keep_arrays")
"""Keys that are set by value. Where a run is written to and tracked belongs to the machine."""
HOMES = ("models", "tasks", "problems", "methods", "koopman", "engine.modes", "studies")
HOMES = ("optax", *(f"glocal_exp.{room}" for room in HOMES))
"""Where what a stored config may name is defined: what is set up by it, and does nothing else."""
LARGEST = 2**20  # bytes of a stored config


@dataclass(frozen=True)
class Stored:
    """The run that a command repeats."""

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

    def choosing(self, by_hand: Collection[str]) -> list[str]:
        """The overrides that take its files again, but for groups chosen `by_hand`."""
        found = []
        for group, choice in _choices(self).items():
            if group in by_hand:
                continue
            elsewhere = "hydra.searchpath" in by_hand and group != "experiment"
            if elsewhere or choice in choices(group):  # else a mere name
                found.append(f"{group}={choice}")
            elif group in REPEATED and group not in GROUPS_KEPT:
                raise self.refused(f"there is no {group}={choice} any more")
        return found

    def lay_over(self, config: DictConfig, by_hand: Collection[str]) -> None:
        """Set what it had of `REPEATED`, but for keys set `by_hand`."""
        for key, value in self.config.items():
            if key == "method":  # its references to root keys of the same name stay references
                same = [k for k in REPEATED if k in value and value[k] == self.config.get(k, ...)]
                value = value | {name: f"${{{name}}}" for name in same}
            nothing_chosen = value is None and key in groups()
            if key in REPEATED and key not in by_hand and not nothing_chosen:
                merge = key not in groups() or key in GROUPS_KEPT  # else what it had not goes, too
                OmegaConf.update(config, key, value, merge=merge, force_add=True)

    def check(self, composed: Callable[[], DictConfig]) -> None:
        """Raise `UserError` unless its settings are `composed` to the config that was stored."""
        from glocal_exp.store import config_hash  # the rest does not wait for pandas

        try:
            if _was_given_in_python(self):
                raise UserError(
                    f"from={self.path} was stored by `run(..., store=...)` in Python, and is "
                    "repeated by that call."
                )
            known, own = self.manifest["config_hash"], self.manifest.get("own_sources")
            beside = {"own_sources": own} if own else {}
            if config_hash(numeric_config(composed(), self.source) | beside) != known:
                raise self.refused("its config.yaml is not the one that its manifest is of")
        except (AttributeError, TypeError, KeyError) as error:
            raise self.refused("its files do not have the form that runs write") from error

    def refused(self, why: str) -> UserError:
        """The sentence for a config that no run would have written, or that is of older files."""
        return UserError(f"from={self.path} cannot be repeated: {why}; give its settings by hand.")


def expand(overrides: Sequence[str]) -> tuple[list[str], Stored | None]:
    """The overrides but for `from=RUN_DIR`, and the run in that directory."""
    given = [line.removeprefix("from=") for line in overrides if line.startswith("from=")]
    others = [line for line in overrides if not line.startswith("from=")]
    if not given:
        return others, None
    if len(given) > 1:
        raise UserError("from= is given twice; name one run directory.")
    return others, _read(Path(expanded("from", given[0])))


def check_targets(config: Any, trusted: Any, modules: Collection[str]) -> None:
    """Raise `UserError` for code in a config that is of none of `HOMES`.

    Args:
        trusted: a config all of whose targets are.
        modules: so are these, and what they hold.
    """
    for target in sorted(set(targets(config)) - set(targets(trusted))):
        if target.rpartition(".")[0] in modules:
            continue
        try:
            # By the object: `glocal_exp.tasks.rules.optax.jnp.save` begins with such a name too.
            named = get_object(target) if _is_at_home(target) else None
        except (HydraException, ImportError, ValueError, AttributeError):
            named = None
        if not _is_at_home(str(getattr(named, "__module__", ""))):
            words = _naming(config.get("problem"))
            raise UserError(
                f"The stored config names {target}, which is no part of this package; if you trust "
                f"it, name it in this command too, as {words.get(target, 'GROUP._target_=...')}"
            )


def _is_at_home(name: str) -> bool:
    return f"{name}.".startswith(tuple(f"{home}." for home in HOMES))


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


def _choices(stored: Stored) -> dict[str, str]:
    """The file of each group; older runs have stored only some of them."""
    config = stored.config
    platform = (config.get("device") or {}).get("platform")
    named = {**(config.get("names") or {}), "experiment": config.get("experiment")}
    named |= {"device": platform} if platform else {}
    named |= {**stored.choices, "source": stored.source}
    # A preset only sets what is repeated by value; the other two belong to the machine.
    others = ("preset", "tracker", "launcher")
    chosen = {k: v for k, v in named.items() if k in groups() and k not in others}
    return {
        group: choice for group, choice in chosen.items() if re.fullmatch(r"[\w.]+", str(choice))
    }


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
    if "${" in text or any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
        raise ValueError("a reference or an alias")
    return yaml.safe_load(text)
