"""What a figure or table takes and gives back."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

NO_PAPER = pd.DataFrame(columns=["artifact", "quantity", "setting", "value"])


class MissingRuns(Exception):
    """Nothing can be drawn: no run of these experiments, its arguments, is stored."""


class MissingStudy(MissingRuns):
    """Nothing can be drawn: nothing of this study, its argument, is stored."""


@dataclass(frozen=True)
class Context:
    """Where an artifact reads from: folders, and the numbers printed in the paper."""

    runs: Path
    paper: pd.DataFrame = field(default_factory=lambda: NO_PAPER)
    studies: Path = Path("results") / "studies"
    configs: Path = Path("configs")

    @classmethod
    def of(cls, repository: Path, runs: Path, studies: Path) -> "Context":
        """With the paper's numbers and the configs of the repository."""
        paper = repository / "results" / "paper.csv"
        printed = pd.read_csv(paper) if paper.exists() else NO_PAPER
        return cls(runs, printed, studies, repository / "configs")

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
    """An entry of configs/figure (`draw(context)`) or of configs/table (`make(context)`)."""

    title: str  # the caption's first sentence
    # how to read it; fields and other values in braces are filled in
    reading: str = field(default="", kw_only=True)
    apart: bool = field(default=True, kw_only=True)  # whether title and reading are two paragraphs
    # whether it is built only when its id is given
    on_request: bool = field(default=False, kw_only=True)

    def caption(self, *sources: str, **values: object) -> str:
        """Title and reading, with `values` in its braces, then a paragraph a source."""
        reading = self.reading.format(**vars(self) | values)
        between = "\n\n" if self.apart else " "
        return "\n\n".join([f"{self.title}{between}{reading}", *sources]) + "\n"
