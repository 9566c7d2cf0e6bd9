"""Both sides of Theorem 3.1 on known linear systems, against horizon, interval and noise."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from glocal_exp.report import study_rows, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.study_rows import chosen

HEIGHT = 4.4  # inches
SIDES: dict[str, dict[str, Any]] = {
    "left": {"label": "$|h_T-\\hat h_\\infty|$", "color": style.BLACK, "marker": "o"},
    "right": {"label": "the paper's bound (Eq. 15)", "color": style.VERMILLION, "marker": "s"},
    "proven": {
        "label": "what its steps prove", "color": style.BLUE, "marker": "^",
        "linestyle": (0, (6, 2)),
    },
    "transient": {"label": "its second term", "color": style.GREEN, "linestyle": (0, (1, 1))},
}  # fmt: skip
SYSTEMS = (style.BLACK, style.BLUE, style.ORANGE, style.PURPLE)
MARKERS = "osD^"
LINEAR_UP_TO = 10  # training steps; a horizon of 0 has no place on a logarithmic axis


@dataclass(frozen=True)
class TheoremFigure(Artifact):
    """Four panels: without noise, with noise, against the interval, and the bound's looseness.

    Attributes:
        system: the one in the first three panels.
        systems: system -> its label in the last panel.
        level: of the noise in the second and third panel.
        interval, horizon: where they are not on an axis.
        unit_tolerance, amplitudes, noise: as in the study.
    """

    system: str
    systems: dict[str, str]
    level: float
    interval: int
    horizon: int
    unit_tolerance: float = 0.02
    amplitudes: str = "newest"
    noise: str = "measurement"
    study: str = "theorem"

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, self.study)
        where = {"unit_tolerance": self.unit_tolerance, "amplitudes": self.amplitudes}
        read = chosen(frame, where)
        seen = chosen(read, {"noise": self.noise})
        one = chosen(seen, {"system": self.system})
        at, up_to = {"interval": self.interval}, {"horizon": self.horizon}
        figure, ((quiet, noisy), (growing, loose)) = style.panels(2, 2, HEIGHT)
        for axes, level in ((quiet, 0.0), (noisy, self.level)):
            draw_sides(axes, chosen(one, at | {"level": level}), "horizon")
            axes.axvline(self.interval, color="#555555", linewidth=0.7, linestyle=(0, (1, 2)))
            axes.set_xscale("symlog", linthresh=LINEAR_UP_TO, linscale=0.6)
            axes.set(xlim=(0, None), xlabel=r"$T-s\tau$ (training steps)")
        draw_sides(growing, chosen(one, up_to | {"level": self.level}), "interval")
        growing.set(xscale="log", xlabel=r"$\tau$ (training steps)")
        ticks = sorted(set(one["interval"]))
        growing.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        growing.minorticks_off()
        self._draw_ratio(loose, chosen(seen, at | up_to))
        noise = f"noise {self.level:g}"
        titles = ("(a) no noise", f"(b) {noise}", f"(c) {noise}", "(d) looseness")
        for axes, title in zip(figure.axes, titles, strict=True):
            axes.set_title(title, loc="left")
        style.legend_above(figure, quiet.get_legend_handles_labels()[0], columnspacing=1.2)
        late = read["horizon"] >= read["interval"]
        text = self.caption(
            study_rows.provenance(frame),
            draws=int(read["draws"].iloc[0]),
            settings=len(read),
            late=read.loc[late, "holds"].mean(),
            early=read.loc[~late, "holds"].mean(),
            proven=read["proven_holds"].mean(),
        )
        return Drawing(figure, text)

    def _draw_ratio(self, axes: Axes, frame: pd.DataFrame) -> None:
        for number, (system, label) in enumerate(self.systems.items()):
            found = chosen(frame, {"system": system})
            found = found.loc[found["level"] > 0].sort_values("level")
            axes.plot(
                found["level"], found["right"] / found["left"], label=label,
                color=SYSTEMS[number % len(SYSTEMS)], marker=MARKERS[number % len(MARKERS)],
                markersize=3.2, linewidth=1.1,
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="noise", ylabel="right side / left side")
        axes.minorticks_off()
        axes.legend(fontsize=style.SMALLEST_FONT, handlelength=2)


def draw_sides(axes: Axes, frame: pd.DataFrame, along: str) -> None:
    """Medians of each side, with quartiles where the study has them."""
    for column, look in SIDES.items():
        style.draw_quartiles(
            axes, frame, along, column, shade=0.15, markersize=3, linewidth=1.1, **look
        )
    axes.set(yscale="log", ylabel="norm")
    axes.yaxis.set_minor_locator(NullLocator())
