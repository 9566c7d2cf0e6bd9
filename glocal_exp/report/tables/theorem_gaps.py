"""Where Theorem 3.1 fails: each gap with the two sides of what it contradicts."""

from dataclasses import dataclass

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.formats import brief
from glocal_exp.report.sheet import Column, Sheet

COLUMNS = (
    Column("gap", "name", words=True),
    Column("claim", "claim", words=True),
    Column("system", "system", words=True),
    Column("left side", "left", brief),
    Column("right side", "right", brief),
)


@dataclass(frozen=True)
class TheoremGaps(Artifact):
    """One row a gap."""

    study: str = "theorem"

    def make(self, context: Context) -> Sheet:
        frame = study_rows.load(context, self.study)
        gaps = study_rows.chosen(frame, {"unit": "gaps"})
        data = gaps.loc[:, [str(column.entries) for column in COLUMNS]]
        return Sheet(data, COLUMNS, self.caption(study_rows.provenance(frame)))
