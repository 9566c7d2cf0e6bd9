"""How close each estimate comes to the true global hypergradient, by setting."""

from collections.abc import Sequence
from dataclasses import dataclass

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.estimators import estimators
from glocal_exp.report.fidelity_points import STUDY, by_setting, points, seeds
from glocal_exp.report.fidelity_scores import TRUTHS, scores
from glocal_exp.report.sheet import Column, Sheet

SHOWN = {"cosine": "cos", "agreeing": "above 0", "error": "error", "signs": "signs"}
"""Numbers of a setting that are printed, with their headings."""


@dataclass(frozen=True)
class FidelityTable(Artifact):
    """One row an estimator, four columns a setting.

    Attributes:
        estimators: files of configs/estimator; all if None.
        without: those of them that are left out.
    """

    estimators: Sequence[str] | None = None
    without: Sequence[str] = ()

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        compared, notes = estimators(context.configs, found, self.estimators, self.without)
        groups = scores(found, compared).groupby(["estimator", "setting"], sort=False)
        data = groups.agg(
            points=("s", "size"),
            cosine=("cosine", "median"),
            agreeing=("above", "mean"),
            error=("error", "median"),
            signs=("signs", "mean"),
            slope_signs=("slope_signs", "mean"),
        ).reset_index()
        gradients = {one.label: one.gradients(found[0]) for one in compared}
        data.insert(1, "gradients", [gradients.get(label) for label in data["estimator"]])
        settings = by_setting(found)
        columns = [
            Column("estimate", "estimator", words=True),
            Column("gradients", "gradients", "{:.0f}"),
            *(
                Column(f"{heading} [{n}]", name, "{:,.2f}", {"setting": setting})
                for n, setting in enumerate(settings, 1)
                for name, heading in SHOWN.items()
            ),
        ]
        text = self.caption(
            *notes,
            study_rows.provenance(frame, STUDY),
            apart=False,
            truths=TRUTHS,
            settings="; ".join(
                f"[{n}] {setting} ({seeds(of)}; {len(of)} points)"
                for n, (setting, of) in enumerate(settings.items(), 1)
            ),
        )
        return Sheet(data, columns, text, by=("estimator",))
