"""What a benchmark is made of: work, the ways to do it, and what is aimed at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

Outcome = Mapping[str, np.ndarray]
"""Results by name, to be compared; what follows the first word is their kind (`momentum`)."""

AGREEMENT = 1e-3  # rounding flips a maximum of the pooling now and then; see `disagreements`


@dataclass(frozen=True)
class Candidate:
    """One way to do a piece of work.

    Attributes:
        run: does all of it and returns when it is done.
        outcome: does it too and returns the results; None if they are not to be compared.
        ours: of this package, not a peer.
        facts: what is known of it beside its time, by name; asked for once it has been timed.
    """

    name: str
    run: Callable[[], Any]
    outcome: Callable[[], Outcome] | None = None
    ours: bool = True
    facts: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True)
class Comparison:
    """One piece of work, done by every candidate with the same results.

    Attributes:
        calls: units to a run of a candidate.
        unit: what is timed: step, gradient, run.
        flops: floating point operations that a unit needs; None where they are not counted.
        point: the axis of a scaling study that this lies on, and where; None outside of one.
    """

    name: str
    candidates: tuple[Candidate, ...]
    calls: int = 1
    unit: str = "step"
    flops: int | None = None
    point: tuple[str, float] | None = None


Cost = Mapping[tuple[str, str], float]
"""So many units of (comparison, candidate), added up."""


@dataclass(frozen=True)
class Target:
    """The largest ratio of two costs that is aimed at; of each side the cheapest way counts.

    Attributes:
        most: None for a ratio that is only stated.
    """

    name: str
    most: float | None
    ours: tuple[Cost, ...]
    other: tuple[Cost, ...]


@dataclass(frozen=True)
class Entry:
    """What one file of `bench/entries` builds.

    Attributes:
        notes: sentences on what is timed, for below the table.
        missing: peers that cannot be had here, with the reason.
        rounds: at most so many, for what takes long.
    """

    title: str
    comparisons: tuple[Comparison, ...]
    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    rounds: int | None = None


class Disagreement(Exception):
    """Two candidates' results are not those of the same work."""


def check(comparison: Comparison) -> None:
    """Compare the results of all candidates with those of the first.

    Raises:
        Disagreement: when they differ by more than rounding.
    """
    compared = [c for c in comparison.candidates if c.outcome is not None]
    if len(compared) < 2:
        return
    first = compared[0].outcome()
    for candidate in compared[1:]:
        if found := disagreements(first, candidate.outcome()):
            raise Disagreement(f"{comparison.name}, {candidate.name}: {'; '.join(found)}")


def disagreements(ours: Outcome, other: Outcome) -> list[str]:
    """What differs by more than rounding: one sentence a kind of result.

    A kind (all gradients, all tangents of the momentum, ...) is compared as one vector, relative to
    its norm. In float64 both agree to 1e-14; in float32 two equal windows of a pooling may be
    ranked differently, which moves single gradients of a filter by up to 1e-3.
    """
    if not ours or set(ours) != set(other):
        return [f"results are {', '.join(sorted(ours))} and {', '.join(sorted(other))}"]
    kinds = sorted({name.split(" ", 1)[-1] for name in other})
    errors = {kind: relative(_vector(ours, kind), _vector(other, kind)) for kind in kinds}
    return [
        f"{kind} differ by {error:.1e}"
        for kind, error in errors.items()
        if not error < AGREEMENT  # NaN is no agreement
    ]


def relative(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Distance over the norm of `b`."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def _vector(results: Outcome, kind: str) -> Float[np.ndarray, " n"]:
    found = [np.ravel(results[n]) for n in sorted(results) if n.split(" ", 1)[-1] == kind]
    return np.concatenate(found).astype(np.float64)
