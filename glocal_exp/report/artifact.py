"""What a figure or table takes and gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure


class MissingRuns(Exception):
    """Nothing can be drawn: no run of these experiments is stored."""

    def __init__(self, experiments: Sequence[str]):
        super().__init__(", ".join(experiments))
        self.experiments = tuple(experiments)


class MissingStudy(MissingRuns):
    """Nothing can be drawn: nothing of this study is stored."""

    def __init__(self, study: str):
        super().__init__([])
        self.study = study


@dataclass(frozen=True)
class Context:
    """Where an artifact reads from.

    Attributes:
        runs: the `runs` directory.
        paper: results/paper.csv, the numbers printed in the paper; empty when absent.
        studies: the `studies` directory.
    """

    runs: Path
    paper: pd.DataFrame = field(default_factory=pd.DataFrame)
    studies: Path = Path("results") / "studies"

    def printed(self, artifact: str, quantity: str, setting: str = "") -> float | None:
        """A number that the paper prints, or None."""
        if self.paper.empty:
            return None
        found = (
            (self.paper["artifact"] == artifact)
            & (self.paper["quantity"] == quantity)
            & (self.paper["setting"].fillna("") == setting)
        )
        values = self.paper.loc[found, "value"].to_numpy(float)
        return float(values[0]) if values.size else None


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption; `missing` names experiments that lack runs it asks for."""

    figure: Figure
    caption: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """A table: `data` in full precision for CSV, `rows` as text under `header` for print.

    Text between dollar signs is TeX; the first `words` columns are words, the others numbers.
    """

    header: list[str]
    rows: list[list[str]]
    data: pd.DataFrame
    caption: str
    missing: tuple[str, ...] = ()
    words: int = 1


class FigureMaker(Protocol):
    """An entry of configs/figure."""

    def draw(self, context: Context) -> Drawing: ...


class TableMaker(Protocol):
    """An entry of configs/table."""

    def make(self, context: Context) -> Sheet: ...
