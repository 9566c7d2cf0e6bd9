"""Hankel DMD of known maps in noise: what each choice buys, and what the last h_t is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm

from glocal_exp.report import study_rows, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.study_rows import chosen

STUDY = "noise"
CHOICES_HEIGHT, LAST_HEIGHT = 4.3, 2.5  # inches
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


@dataclass(frozen=True)
class NoiseFigure(Artifact):
    """Errors of the steady state above those of the eigenvalues.

    Attributes:
        panels: title of a column -> system and `variants`, each with its label.
        window, delays: of the study, for the caption.
    """

    panels: Mapping[str, Mapping[str, Any]]
    window: int = 80
    delays: int = 10

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, STUDY)
        figure, panels = style.panels(
            3, len(self.panels), CHOICES_HEIGHT, sharey="row", height_ratios=(1, 1, LEGEND)
        )
        columns = zip(self.panels.items(), panels.T, strict=True)
        for (title, panel), (upper, lower, below) in columns:
            seen = chosen(frame, {"comparison": "variants", "system": panel["system"]})
            upper.set_title(title)
            for number, (variant, label) in enumerate(panel["variants"].items()):
                look, found = LOOKS[number], chosen(seen, {"variant": variant})
                draw_error(upper, found, "steady", label=label, **look)
                draw_error(lower, found, "spectral", label=label, **look)
            for name, look in TRIVIAL.items():
                draw_error(upper, chosen(seen, {"variant": name}), "steady", **look)
            below.set_axis_off()
            below.legend(
                *upper.get_legend_handles_labels(), loc="upper center", handlelength=2.6,
                fontsize=style.SMALLEST_FONT, labelspacing=0.3, borderaxespad=0,
            )  # fmt: skip
            upper.tick_params(labelbottom=False)
            lower.set_xlabel("noise")
        panels[0, 0].set_ylabel("error of the steady state")
        panels[1, 0].set_ylabel("error of the eigenvalues")
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
    """One panel a variant of DMD.

    Attributes:
        variants: variant -> the title of its panel.
    """

    variants: Mapping[str, str]

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, STUDY)
        seen = chosen(frame, {"comparison": "decays"})
        figure, (panels,) = style.panels(1, len(self.variants), LAST_HEIGHT, sharey=True)
        for axes, (variant, title) in zip(panels, self.variants.items(), strict=True):
            found = chosen(seen, {"variant": variant})
            table = found.pivot(index="decay", columns="level", values=["steady", "last"])
            ratios: Any = np.log10(table["steady"] / table["last"])
            shares = found.pivot(index="decay", columns="level", values="beats_last")
            image = axes.imshow(
                ratios, cmap="RdBu_r", norm=TwoSlopeNorm(0, -RANGE, RANGE),
                origin="lower", aspect="auto",
            )  # fmt: skip
            for (row, column), share in np.ndenumerate(shares.to_numpy()):
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
