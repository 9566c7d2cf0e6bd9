"""Runs of several experiments under labels of their own: the rows of a comparison across tasks."""

import json
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.selection import Selection, select

Cell = TypeVar("Cell", bound=Hashable)
Conditions = Mapping[str, Any]  # as in `store.find_runs`, on the experiment too
NEEDED = {"experiment", "label", "method"}


def conditions(kind: Mapping[str, Any], where: Conditions, **words: str) -> Conditions:
    """Of an entry of a YAML file, one kind of run, with further ones.

    Args:
        kind: has a label, an experiment, a method and perhaps `where`, conditions of its own.
        words: what fills in braces of its experiment.

    Raises:
        UserError: it has other settings.
    """
    names = set(kind) if isinstance(kind, Mapping) else set()
    try:
        if wrong := sorted((NEEDED - names) | (names - NEEDED - {"where"})):
            raise ValueError(f"add or correct {', '.join(wrong)}")
        experiment = str(kind["experiment"]).format(**words)
        own = dict(kind.get("where") or {})
    except (LookupError, ValueError, TypeError) as error:
        known = "".join(f" {{{word}}}" for word in words)
        raise UserError(
            f"The row {kind} cannot be read ({error}); it is to have {', '.join(sorted(NEEDED))} "
            f"and perhaps where: {{KEY: VALUE}}, braces may hold{known or ' nothing'}."
        ) from error
    return {"experiment": experiment, "method": kind["method"], **own, **where}


def stored(
    context: Context, kinds: Sequence[Mapping[str, Any]], where: Conditions
) -> tuple[dict[str, Selection], tuple[str, ...]]:
    """By label what has finished of `kinds`, and the experiments of which something is missing.

    Raises:
        MissingRuns: nothing has.
    """
    asked = [conditions(kind, where) for kind in kinds]
    wanted = {kind["label"]: one for kind, one in zip(kinds, asked, strict=True)}
    found = alike(context, wanted)
    return found, missing(wanted, found)


def missing(wanted: Mapping[Cell, Conditions], found: Collection[Cell]) -> tuple[str, ...]:
    """The experiments of cells that were not found; `MissingRuns` if none was."""
    lacking = dict.fromkeys(one["experiment"] for cell, one in wanted.items() if cell not in found)
    if not found:
        raise MissingRuns(*lacking)
    return tuple(lacking)


def alike(context: Context, wanted: Mapping[Cell, Conditions]) -> dict[Cell, Selection]:
    """What is to be compared: runs as long as the longest that has finished, all of one network.

    Of several networks the one with most cells is taken. Cells whose runs are all others are left
    out.
    """
    steps = max((one.steps for one in _finished(context, wanted).values()), default=0)
    longest = _finished(context, wanted, steps=steps)
    networks = {
        cell: json.dumps(selection.runs[0].stored.value("model"), sort_keys=True)
        for cell, selection in longest.items()
    }
    taken = Counter(networks.values()).most_common(1)
    return {cell: one for cell, one in longest.items() if networks[cell] == taken[0][0]}


def _finished(
    context: Context, wanted: Mapping[Cell, Conditions], **where: Any
) -> dict[Cell, Selection]:
    """The finished runs of each cell that has some."""
    found = {
        cell: select(context.runs, one["experiment"], where={**one, **where}, ends=True)
        for cell, one in wanted.items()
    }
    return {cell: one for cell, one in found.items() if one and one.finals()}
