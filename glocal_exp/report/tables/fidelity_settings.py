"""How much glocal's direction hangs on window, delays and validation images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Artifact, Context
from glocal_exp.report.estimators import load_estimator
from glocal_exp.report.fidelity_points import STUDY, by_setting, points
from glocal_exp.report.fidelity_scores import TRUTHS, scores
from glocal_exp.report.sheet import Column, Sheet


@dataclass(frozen=True)
class FidelitySettings(Artifact):
    """One row a kind of steady state, one column an interval of a start of training.

    Attributes:
        kinds: label -> settings of `SteadyStateEstimator`.
        grid: pairs of window and delays.
        validation: images that h_t is taken on; all for None.
    """

    kinds: Mapping[str, Mapping[str, Any]]
    grid: Sequence[tuple[int, int]]
    validation: Sequence[int | None]

    def make(self, context: Context) -> Sheet:
        found, frame = points(context)
        local, glocal = (load_estimator(context.configs, name) for name in ("local", "glocal"))
        compared = [replace(local, validation=images) for images in self.validation]
        for label, changes in self.kinds.items():
            steady = replace(glocal.method.steady_state, **changes)  # pyright: ignore
            for (window, delays), images in product(self.grid, self.validation):
                settings: Any = {"window": window, "delays": delays, "steady_state": steady}
                method = replace(glocal.method, **settings)  # pyright: ignore
                compared.append(replace(glocal, label=label, method=method, validation=images))
        groups = scores(found, compared).groupby(["estimator", "setting", "s"], sort=False)
        data = groups.agg(
            finite=("cosine", "count"), mean=("cosine", "mean"), agreeing=("above", "mean")
        ).reset_index()
        numbers = {setting: f"[{n}]" for n, setting in enumerate(by_setting(found), 1)}
        columns = [
            Column("estimate", "estimator", words=True),
            *(
                Column(f"{numbers[setting]} s = {s}", ("mean", "agreeing", "finite"), _cell,
                       {"setting": setting, "s": s})
                for setting, s in sorted({(point.setting, point.s) for point in found})
            ),
        ]  # fmt: skip
        text = self.caption(
            study_rows.provenance(frame, STUDY),
            apart=False,
            grid=", ".join(f"{window} and {delays}" for window, delays in self.grid),
            images=", ".join("all" if v is None else f"{v:,}" for v in self.validation),
            truths=TRUTHS,
            settings="; ".join(f"{number} {setting}" for setting, number in numbers.items()),
        )
        return Sheet(data, columns, text, by=("estimator",))


def _cell(mean: float, agreeing: float, finite: float) -> str:
    return f"{mean:,.2f}" + (f" [{agreeing:.2f}]" if finite > 1 else "")
