"""The files in configs/ as plain YAML: what there is to choose, without Hydra's slow import."""

from functools import cache
from typing import Any

import yaml

from glocal_exp.places import CONFIGS


@cache
def read(name: str) -> dict[str, Any]:
    """A file's content, as of `method/glocal`."""
    return yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) or {}


def groups() -> dict[str, str | None]:
    """The groups that the root config chooses from, in its order, with its choices."""
    entries = [entry for entry in read("main")["defaults"] if isinstance(entry, dict)]
    chosen = {group: choice for entry in entries for group, choice in entry.items()}
    return {k: v for k, v in chosen.items() if not k.startswith("override ")}


def choices(group: str) -> list[str]:
    """The names of a group's files."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def described(group: str, width: int) -> str:
    """A line for each choice: its name, and what the first comment of its file says."""
    lines = []
    for name in choices(group):
        comments = (CONFIGS / group / f"{name}.yaml").read_text().splitlines()
        about = next(line[1:].strip() for line in comments if line[:3] not in ("# @", ""))
        lines.append(f"  {name:<{width}} {about}")
    return "\n".join(lines)
