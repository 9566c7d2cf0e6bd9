"""Conditions on runs, as `method=local,glocal` or `test_accuracy>=0.8`."""

import re
from collections.abc import Callable, Sequence
from operator import ge, gt, le, lt
from typing import Any

from glocal_exp.errors import UserError
from glocal_exp.report.comparison import Comparison, Entry, unknown
from glocal_exp.report.settings import text

CONDITION = re.compile(r"([^=<>!]+)(!=|<=|>=|=|<|>)(.*)")
MANY = 8
ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


def chosen(comparison: Comparison, conditions: Sequence[str]) -> Comparison:
    """The runs of which all conditions hold.

    A key is that of a setting, whole or its last parts (`learning_rate`), a column of the records,
    whose last value counts, or one of seed, status, step, seconds and diverged.

    Raises:
        UserError: a condition cannot be read, there is no such key, or no run is left.
    """
    entries = list(comparison.entries)
    for condition in conditions:
        if not (match := CONDITION.fullmatch(condition)):
            raise UserError(
                f"{condition!r} cannot be read; write KEY=VALUE[,VALUE] or 'KEY>VALUE'."
            )
        key, sign, value = match.groups()
        full = full_key(comparison, key.strip())
        entries = [entry for entry in entries if _holds(entry, full, sign, value)]
        if not entries:
            raise UserError(f"No run is left with {condition}; it is {_values(comparison, full)}.")
    return Comparison(entries, comparison.notes)


def full_key(comparison: Comparison, key: str) -> str:
    """The key that a word stands for: it, or one that ends in it, of what differs if it can be."""
    known = {name for entry in comparison.entries for name in entry.values}
    ending = [one for one in known if one.endswith((f".{key}", f"/{key}"))]
    differing = [one for one in ending if one in comparison.keys]
    found = sorted([key] if key in known else differing or ending)
    if len(found) > 1:
        raise UserError(f"{key} may be {' or '.join(found)}; write more of it.")
    if not found:
        raise unknown("setting or column", key, sorted(known))
    return found[0]


def _holds(entry: Entry, key: str, sign: str, value: str) -> bool:
    found = entry.values.get(key)
    if sign in ORDERS:
        number, bound = _number(found), _number(value)
        if bound is None:
            raise UserError(f"{key}{sign}{value}: {value} is no number.")
        return number is not None and ORDERS[sign](number, bound)
    return (sign == "=") == any(_same(found, one.strip()) for one in value.split(","))


def _same(found: Any, typed: str) -> bool:
    number, other = _number(found), _number(typed)
    return text(found) == typed or (number is not None and number == other)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _values(comparison: Comparison, key: str) -> str:
    """Which there are, in words: each, or from where to where."""
    found = [entry.values[key] for entry in comparison.entries if key in entry.values]
    words = sorted(set(map(text, found)))
    numbers = [number for value in found if (number := _number(value)) is not None]
    if len(words) > MANY and len(numbers) == len(found):
        return f"from {min(numbers):.4g} to {max(numbers):.4g}"
    return " or ".join(words[:MANY])
