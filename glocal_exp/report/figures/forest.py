"""Differences in accuracy between two methods, experiment by experiment: a forest plot."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing, MissingRuns
from glocal_exp.report.claims.accuracy import LAST, ends
from glocal_exp.report.claims.criterion import LEVEL, chosen, surely
from glocal_exp.report.objects import entries
from glocal_exp.report.selection import Selection
from glocal_exp.stats import mean_interval, p_value, paired_differences

ROW, FRAME = 0.27, 1.05  # inches
WIDEST = 4.0  # points: what lies beyond is not drawn
ENDS: dict[int, dict[str, Any]] = {
    1: {"marker": "o", "markersize": 4, "markerfacecolor": "white", "linewidth": 0.8},
    LAST: {"marker": "D", "markersize": 3.5, "linewidth": 0.8},
}
"""Evaluations at the end whose mean is a run's accuracy -> the mark."""
LABELS = {1: "at the end", LAST: f"last {LAST} evaluations"}
SEED: dict[str, Any] = {"color": "#777777", "marker": "|", "linestyle": "", "markersize": 4}


@dataclass(frozen=True)
class Forest(Artifact):
    """A panel a pair of methods, a row an experiment."""

    experiments: Mapping[str, str]  # with their labels
    pairs: Sequence[Sequence[str]]  # subject and other

    def draw(self, context: Context) -> Drawing:
        stored = [self._selections(context, *pair) for pair in self.pairs]
        rows = [name for name in self.experiments if any(name in found for found in stored)]
        if not rows:
            raise MissingRuns(*self.experiments)
        figure, (panels,) = style.panels(1, len(self.pairs), FRAME + ROW * len(rows), sharey=True)
        shown: dict[str, Selection] = {}
        for axes, (subject, other), found in zip(panels, self.pairs, stored, strict=True):
            shown |= found | shown
            self._panel(axes, found, rows, subject, other, families(context, subject, other))
            looks = style.method_styles((subject, other))
            axes.set_title(f"{looks[subject].label} \N{MINUS SIGN} {looks[other].label}")
        style.label_rows(panels[0], [self.experiments[name] for name in rows])
        looks = {LABELS[last]: look | {"color": "black"} for last, look in ENDS.items()}
        style.legend_of(figure, looks | {"single seeds": SEED})
        text = self.caption(*caption.paragraphs(shown.values(), context), level=100 * LEVEL)
        missing = tuple(name for name in self.experiments if name not in shown)
        return Drawing(figure, text, missing)

    def _selections(self, context: Context, *methods: str) -> dict[str, Selection]:
        """Those of which both methods have finished runs."""
        found = {}
        for name in self.experiments:
            with contextlib.suppress(MissingRuns):
                found[name] = chosen(context, name, methods)
        return found

    def _panel(
        self, axes: Axes, found: Mapping[str, Selection], names: Sequence[str], subject: str,
        other: str, tested: Sequence[Sequence[str]],
    ) -> None:  # fmt: skip
        axes.axvline(0, color="black", linewidth=0.7)
        rows = {name: row for row, name in enumerate(names)}
        for (last, look), shift in zip(ENDS.items(), (-0.17, 0.17), strict=True):
            apart = {
                name: paired_differences(ends(one.of(subject), last), ends(one.of(other), last))
                for name, one in found.items()
            }
            sure = told_apart(apart, tested) if last == LAST else set()
            for name, values in apart.items():
                y = rows[name] + shift
                mean, low, high = mean_interval(values)
                axes.plot(values, [y] * len(values), **SEED)
                if len(values) > 1:
                    axes.plot([low, high], [y, y], color="black", linewidth=0.8)
                    axes.plot(mean, y, **look, color="black")
                    star = "*" if name in sure else ""
                    axes.annotate(star, (mean, y), xytext=(0, 1), textcoords="offset points")
            for name, values in apart.items():
                axes.annotate(
                    f"{len(values)}", (1, rows[name]), xycoords=("axes fraction", "data"),
                    xytext=(3, 0), textcoords="offset points", va="center", color="#555555",
                )  # fmt: skip
        axes.set(xlim=(-WIDEST, WIDEST), xlabel="points")


def families(context: Context, subject: str, other: str) -> list[Sequence[str]]:
    """The experiments of each claim, the paper's or our own, that these two's accuracies differ."""
    found = []
    for name in ("claims", "findings"):
        file = context.configs.parent / f"results/{name}.yaml"
        for claim in entries(file).values() if file.exists() else ():
            criterion = claim["criterion"] or {}
            pair = (criterion.get("subject"), criterion.get("other"))
            if str(criterion.get("_target_")).endswith(".Difference") and pair == (subject, other):
                found.append(criterion["experiments"])
    return found


def told_apart(apart: Mapping[str, Sequence[float]], families: Sequence[Sequence[str]]) -> set[str]:
    """The experiments in which a difference is not 0, each corrected for those of its claim."""
    found = set()
    for family in families:
        stored = [name for name in family if name in apart]
        sure = surely([p_value(apart[name]) for name in stored])
        found |= {name for name, is_sure in zip(stored, sure, strict=True) if is_sure}
    return found
