"""Where Theorem 3.1 fails: each gap with the two sides of what it contradicts."""

from dataclasses import dataclass

import pandas as pd

from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.study import chosen, provenance, rows

READING = (
    "Each row is a linear system with spectral radius 1 for which the claim, left at most right, "
    "does not hold; both sides are computed. Where no claim of the proof is named it is the "
    "theorem itself."
)


@dataclass(frozen=True)
class TheoremGaps:
    """One row a gap.

    Attributes:
        title: the caption's first sentence.
    """

    title: str
    study: str = "theorem"

    def make(self, context: Context) -> Sheet:
        frame = rows(context, self.study)
        columns = ["name", "claim", "system", "left", "right"]
        data = pd.DataFrame({name: chosen(frame, {"unit": "gaps"})[name] for name in columns})
        lines = [
            [
                str(row["name"]),
                str(row["claim"]),
                str(row["system"]),
                *map(brief, (row["left"], row["right"])),
            ]
            for row in data.to_dict("records")
        ]
        text = "\n\n".join([self.title, READING, provenance(frame)]) + "\n"
        header = ["gap", "claim", "system", "left side", "right side"]
        return Sheet(header, lines, data.reset_index(drop=True), text, words=3)


def brief(value: float) -> str:
    """Two digits that count; what is rounding alone is called 0."""
    return "0" if abs(value) < 1e-12 else f"{value:.2g}"
