"""Which older numeric sources still give the numbers of the present one: they were replayed.

A stored run is stale once the numeric source has changed, even where the change moves no number.
`scripts/replay.py` trains the first intervals of such runs again with the present source; where
they agree, the pair of sources is kept in `results/replays.json`, and the run counts as current.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from glocal_exp.store.files import write_atomically

FILE = Path(__file__).parents[2] / "results" / "replays.json"


def is_replayed(stored: Any, current: str, file: Path = FILE) -> bool:
    """Whether replays lead from the source hash `stored` to `current`, over those in between."""
    later: dict[Any, set[str]] = {}
    for replay in read_replays(file):
        later.setdefault(replay["stored"], set()).add(replay["current"])
    seen, waiting = {stored}, [stored]
    while waiting:
        new = later.get(waiting.pop(), set()) - seen
        seen |= new
        waiting += new
    return current in seen


@cache
def read_replays(file: Path = FILE) -> list[dict[str, Any]]:
    """All replays that agreed, oldest first; none where there is no file."""
    return json.loads(file.read_text()) if file.exists() else []


def add_replays(replays: Iterable[Mapping[str, Any]], file: Path = FILE) -> None:
    """Append replays, each with the hashes `stored` and `current` and what it was found by."""
    text = json.dumps([*read_replays(file), *replays], indent=1) + "\n"
    write_atomically(file, text.encode())
    read_replays.cache_clear()
