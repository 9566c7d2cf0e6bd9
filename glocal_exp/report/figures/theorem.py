"""Both sides of Theorem 3.1 on known linear systems, against horizon, interval and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.study import chosen, provenance, rows

HEIGHT = 4.4  # inches
LEFT, RIGHT = "$|h_T-\\hat h_\\infty|$", "the paper's bound (Eq. 15)"
LINES = {  # column -> label, colour, line, marker
    "left": (LEFT, style.BLACK, "-", "o"),
    "right": (RIGHT, style.VERMILLION, "-", "s"),
    "proven": ("what its steps prove", style.BLUE, (0, (6, 2)), "^"),
    "transient": ("its second term", style.GREEN, (0, (1, 1)), ""),
}
SYSTEMS = (style.BLACK, style.BLUE, style.ORANGE, style.PURPLE)
MARKERS = "osD^"
LINEAR_UP_TO = 10  # training steps; a horizon of 0 has no place on a logarithmic axis
READING = (
    "Linear systems with known operator and one eigenvalue 1, medians and quartiles over {draws} "
    "draws. h has norm 1 to 2; modes within {tolerance:g} of 1 make the steady state. (a) No "
    "noise, tau = {interval} (dotted): the paper's bound is below what it bounds until "
    "T - s tau = tau. (b) Noise of {level:g} in each measured h; (c) the same against tau, at "
    "T - s tau = {horizon}. (d) Right over left side at tau = {interval}, T - s tau = {horizon}: "
    "how loose the bound is. Over all {settings:,} settings from T - s tau = tau on the "
    "inequality held in {late:.1%} of draws, before that in {early:.1%}; what the proof's steps "
    "do give held in {proven:.1%}."
)


@dataclass(frozen=True)
class TheoremFigure:
    """Four panels: without noise, with noise, against the interval, and the bound's looseness.

    Attributes:
        title: the caption's first sentence.
        system: the one in the first three panels.
        systems: system -> its label in the last panel.
        level: of the noise in the second and third panel.
        interval, horizon: where they are not on an axis.
        unit_tolerance, amplitudes, noise: as in the study.
    """

    title: str
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
        frame = rows(context, self.study)
        where = {"unit_tolerance": self.unit_tolerance, "amplitudes": self.amplitudes}
        read = chosen(frame, where)
        seen = chosen(read, {"noise": self.noise})
        one = chosen(seen, {"system": self.system})
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        (quiet, noisy), (growing, loose) = figure.subplots(2, 2)
        at = chosen(one, {"interval": self.interval})
        for axes, level in ((quiet, 0.0), (noisy, self.level)):
            draw_sides(axes, chosen(at, {"level": level}), "horizon")
            axes.axvline(self.interval, color="#555555", linewidth=0.7, linestyle=(0, (1, 2)))
            axes.set_xscale("symlog", linthresh=LINEAR_UP_TO, linscale=0.6)
            axes.set(xlim=(0, None), xlabel=r"$T-s\tau$ (training steps)")
        draw_sides(growing, chosen(one, {"level": self.level, "horizon": self.horizon}), "interval")
        growing.set_xscale("log")
        ticks = sorted(set(one["interval"]))
        growing.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        growing.minorticks_off()
        growing.set_xlabel(r"$\tau$ (training steps)")
        fixed = {"interval": self.interval, "horizon": self.horizon}
        self._draw_ratio(loose, chosen(seen, fixed))
        titles = (
            "(a) no noise",
            f"(b) noise {self.level:g}",
            f"(c) noise {self.level:g}",
            "(d) looseness",
        )
        for axes, title in zip(figure.axes, titles, strict=True):
            axes.set_title(title, loc="left")
        handles, labels = quiet.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, columnspacing=1.2)
        return Drawing(figure, self._caption(frame, read))

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

    def _caption(self, frame: pd.DataFrame, read: pd.DataFrame) -> str:
        late = read["horizon"] >= read["interval"]
        reading = READING.format(
            draws=int(read["draws"].iloc[0]),
            tolerance=self.unit_tolerance,
            interval=self.interval,
            horizon=self.horizon,
            level=self.level,
            settings=len(read),
            late=read.loc[late, "holds"].mean(),
            early=read.loc[~late, "holds"].mean(),
            proven=read["proven_holds"].mean(),
        )
        return "\n\n".join([self.title, reading, provenance(frame)]) + "\n"


def draw_sides(axes: Axes, frame: pd.DataFrame, along: str, columns: Sequence[str] = ()) -> None:
    """Medians of each side, with quartiles where the study has them."""
    frame = frame.sort_values(along)
    for column in columns or LINES:
        label, colour, line, marker = LINES[column]
        axes.plot(
            frame[along], frame[column], label=label, color=colour, linestyle=line,
            marker=marker, markersize=3, linewidth=1.1,
        )  # fmt: skip
        if f"{column}_low" in frame:
            low, high = frame[f"{column}_low"], frame[f"{column}_high"]
            axes.fill_between(frame[along], low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("norm")
