"""Table 2: test accuracy on long-tailed data, by way of weighing the examples."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import DAGGER, spread
from glocal_exp.report.labelled import Conditions, alike, conditions, missing
from glocal_exp.report.selection import Selection, together
from glocal_exp.report.tables.grouped import Found

FACTOR = "dataset.imbalance.factor"
Cell = tuple[str, str, int]  # data set, row, imbalance factor


def reweighting(
    context: Context,
    data: Mapping[str, str],
    factors: Sequence[int],
    kinds: Sequence[Mapping[str, Any]],
    published: Mapping[str, Mapping[str, Mapping[int, float]]],
) -> Found:
    """A row a way of weighing, data set and imbalance factor.

    Args:
        data: data set -> its label.
        kinds: as in `report.labelled.conditions`; `{data}` in an experiment is the data set.
        published: row -> data set -> factor -> percent, of other networks.
    """
    wanted, found = dict[Cell, Conditions](), dict[Cell, Selection]()
    for name in data:  # on each data set runs of one length and network
        cells = dict[Cell, Conditions]()
        for kind, factor in product(kinds, factors):
            asked = conditions(kind, {FACTOR: factor}, data=name)
            cells[name, kind["label"], factor] = asked
        wanted |= cells
        found |= alike(context, cells)
    lacking = missing(wanted, found)
    runs = {n: [r for cell, one in found.items() if cell[0] == n for r in one.runs] for n in data}
    named = {name: caption.marked(label, runs[name]) for name, label in data.items()}
    rows: list[dict[str, Any]] = [
        {"weighing": kind["label"], "dataset": name, "data": named[name], "factor": factor}
        | (found[cell].final_numbers() if cell in found else {"seeds": 0})
        for kind in kinds
        for name in data
        for factor in factors
        for cell in [(name, kind["label"], factor)]
    ]
    rows += [
        {"weighing": f"{label}*", "dataset": name, "data": data[name]}
        | {"factor": factor, "mean": percent}
        for label, numbers in published.items()
        for name, by_factor in numbers.items()
        for factor, percent in by_factor.items()
    ]
    sources = caption.paragraphs(_together(found, named), context)
    labels = {"dataset": named, "factor": dict(zip(factors, factors, strict=True))}
    return Found(pd.DataFrame(rows), sources, {"dagger": DAGGER}, labels, missing=lacking)


def _together(found: Mapping[Cell, Selection], named: Mapping[str, str]) -> dict[str, Selection]:
    """By row and data set, the runs of all factors."""
    groups: dict[str, list[Selection]] = defaultdict(list)
    for (name, label, _), selection in found.items():
        groups[f"{label}, {named[name]}"].append(selection)
    return {label: together(parts) for label, parts in groups.items()}


def accuracy(mean: float, deviation: float, diverged: float, seeds: float) -> str:
    """Published numbers have no seeds."""
    text = spread(mean, deviation, 2)
    return f"{text}{DAGGER if diverged > 0 else ''} [{seeds:.0f}]" if seeds > 0 else text
