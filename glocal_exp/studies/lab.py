"""What every study answers; a study is cut into units, each stored when it is done.

`python scripts/study.py study=ID` runs one; its class is one file here and one in configs/study.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:  # a study of the theory alone needs no JAX
    from glocal_exp.engine import Loop, Plan, Splits
    from glocal_exp.types import InnerProblem

Row = dict[str, float | int | str]


@dataclass(frozen=True)
class Measurement:
    """What a unit has found."""

    rows: list[Row]  # of the study's table; units may have different columns
    arrays: dict[str, np.ndarray] = field(default_factory=dict)  # larger things by name


@dataclass(frozen=True)
class Unit:
    """A piece of work that is not done again once it is stored."""

    name: str  # unique in the study, and fit for a file: letters, digits, `-`, `.`, `=` and `_`
    measure: Callable[[], Measurement]


@dataclass(frozen=True)
class Setting:
    """What a training run of the config would be made of."""

    problem: "InnerProblem"
    splits: "Splits"
    plan: "Plan"
    start: Callable[[], "Loop"]  # begins the run, from its first step
    # of products in float32, as JAX names it; None leaves it as it is
    matmul_precision: str | None = None


@dataclass(frozen=True)
class Lab:
    """What a study works with."""

    seed: int  # of whatever is random
    # makes the setting with some others in place of its own, by dotted key; a `UserError` if there
    # are none such or they do not fit
    build: Callable[[Mapping[str, Any]], Setting]

    @cached_property
    def setting(self) -> Setting:
        """Problem, data and sizes of the config itself, built on first use."""
        return self.build({})


class Study(Protocol):
    """A study: a frozen dataclass whose fields are config values."""

    # whether the training setting counts; if not, the study's own settings are all that its results
    # follow from
    trains: bool

    def units(self, lab: Lab) -> Iterable[Unit]:
        """The work, in the order in which it is done; making the list costs nothing."""
        ...
