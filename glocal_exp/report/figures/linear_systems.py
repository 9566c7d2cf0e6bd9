"""Studies of known linear systems: Hankel DMD in noise, and both sides of Theorem 3.1."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.ticker import NullLocator

from glocal_exp.report import study_rows, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.study_rows import chosen, needed

CHOICES_HEIGHT, LAST_HEIGHT, THEOREM_HEIGHT = 4.3, 2.5, 4.4  # inches
LEGEND = 0.5  # of a panel's height
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": style.VERMILLION, "linestyle": "-", "marker": "o"},
    {"color": style.BLUE, "linestyle": (0, (6, 2)), "marker": "s"},
    {"color": style.GREEN, "linestyle": (0, (3, 1, 1, 1)), "marker": "^"},
    {"color": style.PURPLE, "linestyle": (0, (1, 1)), "marker": "D"},
)
TRIVIAL: dict[str, dict[str, Any]] = {
    "last": {"label": "last $h$", "color": style.BLACK, "linestyle": (0, (1, 1.5))},
    "mean": {"label": "window mean", "color": "#8C8C8C", "linestyle": "-"},
}
RANGE = 2  # decades of the ratio that colours tell apart
SIDES: dict[str, dict[str, Any]] = {
    "left": {"label": "$|h_T-\\hat h_\\infty|$", "color": style.BLACK, "marker": "o"},
    "right": {"label": "the paper's bound (Eq. 15)", "color": style.VERMILLION, "marker": "s"},
    "proven": {
        "label": "what its steps prove", "color": style.BLUE, "marker": "^",
        "linestyle": (0, (6, 2)),
    },
    "transient": {"label": "its second term", "color": style.GREEN, "linestyle": (0, (1, 1))},
}  # fmt: skip
SYSTEMS = ((style.BLACK, "o"), (style.BLUE, "s"), (style.ORANGE, "D"), (style.PURPLE, "^"))
DRAWN: dict[str, Any] = {"unit_tolerance": 0.02, "amplitudes": "newest"}
MEASURED = {"noise": "measurement"}  # of the study's settings those that are shown
LINEAR_UP_TO = 10  # training steps; a horizon of 0 has no place on a logarithmic axis


@dataclass(frozen=True)
class NoiseFigure(Artifact):
    """Errors of the steady state above those of the eigenvalues."""

    # title of a column -> system and `variants`, each with its label
    panels: Mapping[str, Mapping[str, Any]]

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, "noise")
        shown = needed(frame, "noise", {"comparison": "variants"})
        figure, panels = style.panels(
            3, len(self.panels), CHOICES_HEIGHT, sharey="row", height_ratios=(1, 1, LEGEND)
        )
        columns = zip(self.panels.items(), panels.T, strict=True)
        for (title, panel), (upper, lower, below) in columns:
            seen = chosen(shown, {"system": panel["system"]})
            upper.set_title(title)
            for place, (variant, label) in enumerate(panel["variants"].items()):
                if (found := chosen(seen, {"variant": variant})).empty:
                    continue  # not measured yet
                look = LOOKS[place % len(LOOKS)] | {"label": label}
                draw_error(upper, found, "steady", **look)
                draw_error(lower, found, "spectral", **look)
            for name, look in TRIVIAL.items():
                draw_error(upper, chosen(seen, {"variant": name}), "steady", **look)
            below.set_axis_off()
            below.legend(
                *upper.get_legend_handles_labels(), loc="upper center", handlelength=2.6,
                fontsize=style.SMALLEST_FONT, labelspacing=0.3, borderaxespad=0,
            )  # fmt: skip
            upper.tick_params(labelbottom=False)
            lower.set_xlabel("noise (of an $h$)")
        panels[0, 0].set_ylabel("error of the steady state (relative)")
        panels[1, 0].set_ylabel("error of eigenvalues (relative)")
        draws = int(frame["draws"].iloc[0])
        return Drawing(figure, self.caption(study_rows.provenance(frame), draws=draws))


def draw_error(axes: Axes, frame: pd.DataFrame, quantity: str, **look: Any) -> None:
    """Median against noise, quartiles shaded."""
    style.draw_quartiles(
        axes, frame, "level", quantity, shade=0.12, linewidth=1.0, markersize=2.6, **look
    )
    axes.set(xscale="log", yscale="log", xticks=[1e-6, 1e-4, 1e-2])
    axes.minorticks_off()


@dataclass(frozen=True)
class LastFigure(Artifact):
    """One panel a variant of DMD."""

    variants: Mapping[str, str]  # variant -> the title of its panel

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, "noise")
        figure, (panels,) = style.panels(1, len(self.variants), LAST_HEIGHT, sharey=True)
        for axes, (variant, title) in zip(panels, self.variants.items(), strict=True):
            found = needed(frame, "noise", {"comparison": "decays", "variant": variant})
            found = found.pivot(index="decay", columns="level")
            ratios: Any = np.log10(found["steady"] / found["last"])
            image = axes.imshow(
                ratios, cmap="RdBu_r", norm=TwoSlopeNorm(0, -RANGE, RANGE),
                origin="lower", aspect="auto",
            )  # fmt: skip
            for (row, column), share in np.ndenumerate(found["beats_last"].to_numpy()):
                colour = "white" if abs(ratios.iloc[row, column]) > 0.7 * RANGE else "black"
                axes.text(
                    column, row, f"{100 * share:.0f}", ha="center", va="center",
                    color=colour, fontsize=style.SMALLEST_FONT,
                )  # fmt: skip
            ticks = [f"{100 * level:.4g}" for level in ratios.columns]
            axes.set_xticks(range(len(ticks)), ticks, rotation=60)
            axes.set_yticks(range(len(ratios)), [f"{decay:g}" for decay in ratios.index])
            axes.set(xlabel="noise (%)", title=title)
            axes.grid(visible=False)
        panels[0].set_ylabel("slowest eigenvalue")
        bar = figure.colorbar(image, ax=list(panels), extend="both", pad=0.01)
        bar.set_label("log$_{10}$ error DMD / last $h$")
        draws = int(frame["draws"].iloc[0])
        return Drawing(figure, self.caption(study_rows.provenance(frame), draws=draws))


@dataclass(frozen=True)
class TheoremFigure(Artifact):
    """Four panels: without noise, with noise, against the interval, and the bound's looseness."""

    system: str  # the one in the first three panels
    systems: dict[str, str]  # system -> its label in the last panel
    level: float  # of the noise in the second and third panel
    # interval, horizon: where they are not on an axis
    interval: int
    horizon: int

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, "theorem")
        some = partial(needed, study="theorem")
        read = some(frame, where=DRAWN)
        seen = some(read, where=MEASURED)
        one = some(seen, where={"system": self.system})
        at, up_to = {"interval": self.interval}, {"horizon": self.horizon}
        figure, ((quiet, noisy), (growing, loose)) = style.panels(2, 2, THEOREM_HEIGHT)
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
            **DRAWN,
            draws=int(read["draws"].iloc[0]),
            settings=len(read),
            late=read.loc[late, "holds"].mean(),
            early=read.loc[~late, "holds"].mean(),
            proven=read["proven_holds"].mean(),
        )
        return Drawing(figure, text)

    def _draw_ratio(self, axes: Axes, frame: pd.DataFrame) -> None:
        looks = zip(self.systems.items(), cycle(SYSTEMS), strict=False)
        for (system, label), (colour, marker) in looks:
            found = chosen(frame, {"system": system}).query("level > 0").sort_values("level")
            axes.plot(
                found["level"], found["right"] / found["left"], label=label,
                color=colour, marker=marker, markersize=3.2, linewidth=1.1,
            )  # fmt: skip
        axes.set(xscale="log", xlabel="noise (of an $h$)")
        axes.set(yscale="log", ylabel="right side / left side")
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
