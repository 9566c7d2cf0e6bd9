"""`from=RUN_DIR`: the overrides that give a stored run's config again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from glocal_exp.app.choices import choices, groups, read
from glocal_exp.errors import UserError

NOT_REPEATED = ("names", "sweep", "experiment", "dataset")  # these follow from the groups
ALL_KEPT = (*NOT_REPEATED, "device")  # a platform's setting that came later has today's value


def expand(overrides: Sequence[str]) -> list[str]:
    """Replace `from=RUN_DIR`, the directory of one run, by its settings; the other ones win."""
    stored = [line.removeprefix("from=") for line in overrides if line.startswith("from=")]
    others = [line for line in overrides if not line.startswith("from=")]
    if len(stored) > 1:
        raise UserError("from= is given twice; name one run directory.")
    by_hand = {line.split("=")[0].lstrip("+~") for line in others}
    return [line for run in stored for line in _repeated(Path(run).expanduser(), by_hand)] + others


def _repeated(run: Path, by_hand: set[str]) -> Iterator[str]:
    config, manifest = _read(run / "config.yaml", run), _read(run / "manifest.json", run)
    for group, choice in _choices(config, manifest).items():
        if group not in by_hand and choice in choices(group):
            yield f"{group}={choice}"
            if group not in ALL_KEPT and isinstance(config.get(group), Mapping):
                content = read(f"{group}/{choice}")  # some set other keys of the root too
                yield from _removed(group, content.get(group, content), config[group], by_hand)
    for key, value in config.items():
        if key == "method":  # its references to root keys of the same name stay references
            value = {name: entry for name, entry in value.items() if entry != config.get(name)}
        nothing_chosen = value is None and key in groups()
        if key not in NOT_REPEATED and not nothing_chosen:
            yield from _leaves(key, value, by_hand)


def _removed(path: str, default: Any, stored: Any, by_hand: set[str]) -> Iterator[str]:
    """What a group's file has and the run had not (`~task.init.momentum`)."""
    if not isinstance(default, Mapping) or not isinstance(stored, Mapping):
        return
    for name in default.keys() - {"defaults"}:
        if name in stored:
            yield from _removed(f"{path}.{name}", default[name], stored[name], by_hand)
        elif f"{path}.{name}" not in by_hand:
            yield f"~{path}.{name}"


def _choices(config: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, str]:
    """The file of each group; older runs have stored only some of them."""
    named = dict(config.get("names") or {})
    platform = (config.get("device") or {}).get("platform")
    named |= {"experiment": config.get("experiment")} | ({"device": platform} if platform else {})
    named |= dict(manifest.get("choices") or {})
    named |= {"source": (manifest.get("data") or {}).get("source")}
    # A preset only sets what is repeated by value; a tracker belongs to the machine.
    return {k: v for k, v in named.items() if v and k not in ("preset", "tracker")}


def _leaves(path: str, value: Any, by_hand: set[str]) -> Iterator[str]:
    if path in by_hand:
        return
    if isinstance(value, Mapping) and value:
        for name, entry in value.items():
            yield from _leaves(f"{path}.{name}", entry, by_hand)
    else:
        prefix = "++" if "." in path else ""
        yield f"{prefix}{path}={text_of(value)}"


def text_of(value: Any) -> str:
    """A plain value in Hydra's override grammar."""
    if isinstance(value, str | bool | None):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{text_of(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(text_of, value)) + "]"
    return repr(value)


def _read(file: Path, run: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"from={run} is no run directory that can be read ({file.name}: "
            f"{type(error).__name__}); give one that holds config.yaml and manifest.json."
        ) from error
    return content if isinstance(content, dict) else {}
