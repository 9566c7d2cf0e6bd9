"""The settings of stored runs by the keys that a user gives them by, and those that differ."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal_exp.store import StoredRun

NAMES = ("dataset", "model", "task", "method")
NAMED = ("experiment", "data", *NAMES)  # what is told apart by values alone
PLACES = ("experiment", "preset", "source", "device", "tracker", "study")
"""Groups whose choice says where and how a run was made, or is seen from what it sets."""
NO_SETTINGS = ("experiment", "names", "seed", "seeds", "device", "keep_arrays", "microbatch")
NO_SETTINGS += ("validation_chunk",)
"""Keys of a stored config that tell no two variants apart."""
OF_IMAGES = ("dataset", "model", "task", "augmentation", "validation", "data_dir")
"""Without effect on a problem that brings its own examples."""
OF_METHODS = ("dmd", "steady_state")  # without effect on a method that has no such setting


Known = dict[Path, tuple[Any, dict[str, Any]]]


def settings(run: StoredRun, known: Known) -> dict[str, Any]:
    """Experiment, data, the choice of each group and every setting, by dotted key.

    Args:
        known: by variant, what another seed's follow from, and they; of many runs most are so.
    """
    manifest, config = run.manifest, run.config
    chosen = {name: run.column(name) for name in NAMES} | dict(manifest.get("choices") or {})
    data = run.column("notice") or ("its own" if "problem" in chosen else "original")
    found = {"experiment": run.experiment, "data": data}
    found |= {group: choice for group, choice in chosen.items() if group not in PLACES}
    basis = (dict(found), {key: value for key, value in config.items() if key not in NO_SETTINGS})
    before, made = known.get(run.path.parent, (None, {}))
    if before == basis:
        return made
    unused = {key for key in OF_METHODS if key not in (config.get("method") or {})}
    unused |= {*OF_IMAGES} if config.get("problem") is not None else set()
    for key in unused:
        found.pop(key, None)
    for key, value in config.items():
        if isinstance(value, Mapping):  # its references to root keys are those keys' own
            value = {name: entry for name, entry in value.items() if entry != config.get(name)}
        if key not in NO_SETTINGS and key not in unused:
            found |= {k: v for k, v in leaves(key, value) if k not in found}
    known[run.path.parent] = basis, found
    return found


def differing(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which some settings differ: `NAMED` first, then the others by name.

    A setting of a group counts among runs with the same choice of it: that `glocal` has a window
    and `none` has not is said by their names.
    """
    others = {key for one in runs for key in one} - {*NAMED}
    return [key for key in (*NAMED, *sorted(others)) if _differs(key, runs)]


def _differs(key: str, runs: Sequence[Mapping[str, Any]]) -> bool:
    group, dot, _ = key.partition(".")
    if not dot and any(other.startswith(f"{key}.") for one in runs for other in one):
        return len({text(one.get(key)) for one in runs}) > 1  # a choice, or none
    values: dict[Any, set[str]] = defaultdict(set)
    for one in runs:
        if key in one:
            values[one.get(group) if dot else None].add(text(one[key]))
    return any(len(found) > 1 for found in values.values())


def label(run: Mapping[str, Any], keys: Sequence[str]) -> str:
    """What sets a run apart: `glocal, window=60`; whole keys where their ends are not unique."""
    ends = Counter(key.rpartition(".")[2] for key in keys)
    words = []
    for key in [key for key in keys if run.get(key) is not None]:
        end = key.rpartition(".")[2]
        name = end if ends[end] == 1 else key
        words.append(text(run[key]) if key in NAMED else f"{name}={text(run[key])}")
    return ", ".join(words)


def text(value: Any) -> str:
    """A value as it is typed."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every plain value inside of one, by its dotted key."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from leaves(f"{path}.{name}", entry)
    else:
        yield path, value
