"""Where DMD is nearer to the steady state than the last hypergradient: noise and decay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm

from glocal_exp.report import study_rows, style
from glocal_exp.report.artifact import Artifact, Context, Drawing

HEIGHT = 2.5  # inches
RANGE = 2  # decades of the ratio that colours tell apart


@dataclass(frozen=True)
class LastFigure(Artifact):
    """One panel a variant of DMD.

    Attributes:
        variants: variant -> the title of its panel.
    """

    variants: Mapping[str, str]
    study: str = "noise"

    def draw(self, context: Context) -> Drawing:
        frame = study_rows.load(context, self.study)
        seen = study_rows.chosen(frame, {"comparison": "decays"})
        figure, (panels,) = style.panels(1, len(self.variants), HEIGHT, sharey=True)
        for axes, (variant, title) in zip(panels, self.variants.items(), strict=True):
            found = study_rows.chosen(seen, {"variant": variant})
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
