"""What a figure or table takes and gives back."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

PAPER = ["artifact", "quantity", "setting", "value"]


class MissingRuns(Exception):
    """Nothing can be drawn: no run of these experiments, its arguments, is stored."""


class MissingStudy(MissingRuns):
    """Nothing can be drawn: nothing of this study, its argument, is stored."""


@dataclass(frozen=True)
class Context:
    """Where an artifact reads from.

    Attributes:
        runs: the `runs` directory.
        paper: results/paper.csv, the numbers printed in the paper; empty when absent.
        studies: the `studies` directory.
        configs: the folder of all configs.
    """

    runs: Path
    paper: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PAPER))
    studies: Path = Path("results") / "studies"
    configs: Path = Path("configs")

    def printed(self, artifact: str, quantity: str, setting: str = "") -> float | None:
        """A number that the paper prints, or None."""
        rows = self.paper.fillna({"setting": ""}).set_index(["artifact", "quantity", "setting"])
        return rows["value"].get((artifact, quantity, setting))


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption; `missing` names experiments that lack runs it asks for."""

    figure: Figure
    caption: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """An entry of configs/figure, with `draw(context)`, or of configs/table, with `make(context)`.

    Attributes:
        title: the caption's first sentence.
        reading: how to read it; fields and other values in braces are filled in.
    """

    title: str
    reading: str = field(default="", kw_only=True)

    def caption(self, *sources: str, apart: bool = True, **values: object) -> str:
        """Title and reading (`apart`: two paragraphs) with `values`, then a paragraph a source."""
        words = (self.title, self.reading.format(**vars(self) | values))
        return "\n\n".join([*(words if apart else (" ".join(words),)), *sources]) + "\n"
