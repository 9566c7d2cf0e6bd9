"""What a benchmark is made of: work, the ways to do it, and what is aimed at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glocal_exp.errors import UserError

Outcome = Mapping[str, Any]  # by kind (`losses`, `momentum`): an array, or a tree's leaves
Cost = Mapping[tuple[str, str], float]  # so many units of (comparison, candidate), added up

AGREEMENT = 1e-3  # rounding flips a maximum of the pooling now and then; see `disagreements`


@dataclass(frozen=True)
class Candidate:
    """One way to do a piece of work."""

    name: str
    run: Callable[[], Any]  # does all of it and returns when it is done
    peer: str = ""  # if it is not ours: the package that it takes
    compared: bool = True  # `run` returns an `Outcome`, which has to be that of the others
    facts: Callable[[], Mapping[str, float]] = dict  # by name, asked for once it has been timed


@dataclass(frozen=True)
class Comparison:
    """One piece of work, done by every candidate with the same results."""

    name: str
    candidates: Sequence[Candidate]
    calls: int = 1  # units to a run of a candidate
    unit: str = "step"  # what is timed: step, gradient, run
    flops: int | None = None  # operations that a unit needs, where they are counted
    point: tuple[str, float] | None = None  # an axis of a scaling study, and where on it


@dataclass(frozen=True)
class Target:
    """The largest ratio of two costs that is aimed at; of each side the cheapest way counts."""

    name: str
    most: float | None  # None for a ratio that is only stated
    ours: Sequence[Cost]
    other: Sequence[Cost]


@dataclass(frozen=True)
class Entry:
    """What one file of `benchmarks/entries` builds."""

    title: str
    comparisons: Sequence[Comparison]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()  # sentences on what is timed, for below the table
    rounds: int | None = None  # at most so many, for what takes long


def costs(comparison: str, *ways: str) -> list[Cost]:
    """One unit of a comparison by each of these ways: a side of a target."""
    return [{(comparison, way): 1.0} for way in ways]


def check(comparison: Comparison) -> None:
    """Raise `UserError` where a candidate's results differ from the first's beyond rounding."""
    compared = [way for way in comparison.candidates if way.compared]
    expected = compared[0].run() if len(compared) > 1 else {}
    for way in compared[1:]:
        if found := disagreements(expected, way.run()):
            where = f"{comparison.name}, {way.name}"
            raise UserError(f"not the same work: {where}: {'; '.join(found)}; correct it first.")


def disagreements(ours: Outcome, other: Outcome) -> list[str]:
    """What differs by more than rounding: one sentence a kind of result.

    A kind (all gradients, all tangents of the momentum, ...) is compared as one vector, relative to
    its norm. In float64 both agree to 1e-14; in float32 two equal windows of a pooling may be
    ranked differently, which moves single gradients of a filter by up to 1e-3.
    """
    if not ours or set(ours) != set(other):
        return [f"results are {', '.join(sorted(ours))} and {', '.join(sorted(other))}"]
    found = []
    for kind in sorted(ours):
        a, b = (
            np.concatenate([np.ravel(x) for x in of[kind]], dtype=float) for of in (ours, other)
        )
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        if not error < AGREEMENT:  # NaN is no agreement
            found.append(f"{kind} differ by {error:.1e}")
    return found
