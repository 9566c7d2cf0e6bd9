"""A problem without examples, and a function that has them, as one that a config can name."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from glocal_exp.engine.examples import Splits
from glocal_exp.problems.own import OwnProblem
from glocal_exp.types import InnerProblem


def bound(problem: InnerProblem, examples: Callable[[int], Splits]) -> OwnProblem:
    """The problem, of a class of its own kind that is an `OwnProblem` besides.

    Args:
        examples: those of a seed.
    """
    kind: Any = type(problem)
    namespace = {"examples": lambda self, seed: examples(seed), "__module__": kind.__module__}
    both: Any = type(kind)(kind.__name__, (kind, OwnProblem), namespace)
    made = object.__new__(both)
    for entry in fields(problem):
        object.__setattr__(made, entry.name, getattr(problem, entry.name))
    return made
