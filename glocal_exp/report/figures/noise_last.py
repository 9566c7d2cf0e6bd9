"""Where DMD is nearer to the steady state than the last hypergradient: noise and decay."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.study import chosen, provenance, rows

HEIGHT = 2.5  # inches
RANGE = 2  # decades of the ratio that colours tell apart
READING = (
    "Affine maps with a known fixed point, whose slowest eigenvalue is on the vertical axis and "
    "the others 0.8 and 0.6 times that; white noise in units of each component's root mean "
    "square, window of 80. Colour: median error of DMD over the last hypergradient's, over "
    "{draws} draws, the factor of 10 to that power; blue: DMD is nearer to the truth. Numbers: the "
    "share of draws in which it is, in per cent. Least squares of full rank; m delays and the "
    "snapshots that the amplitudes are fitted to as named. An eigenvalue of 0.99 counts as steady."
)


@dataclass(frozen=True)
class LastFigure:
    """One panel a variant of DMD.

    Attributes:
        title: the caption's first sentence.
        variants: variant -> the title of its panel.
    """

    title: str
    variants: Mapping[str, str]
    study: str = "noise"

    def draw(self, context: Context) -> Drawing:
        frame = rows(context, self.study)
        seen = chosen(frame, {"comparison": "decays"})
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        panels = figure.subplots(1, len(self.variants), sharey=True, squeeze=False)[0]
        image = None
        for axes, (variant, title) in zip(panels, self.variants.items(), strict=True):
            found = chosen(seen, {"variant": variant})
            table = found.assign(ratio=np.log10(found["steady"] / found["last"])).pivot(
                index="decay", columns="level", values=["ratio", "beats_last"]
            )
            image = axes.imshow(
                table["ratio"], cmap="RdBu_r", norm=TwoSlopeNorm(0, -RANGE, RANGE),
                origin="lower", aspect="auto",
            )  # fmt: skip
            for (row, column), share in np.ndenumerate(table["beats_last"].to_numpy()):
                ratio = table["ratio"].to_numpy()[row, column]
                colour = "white" if abs(ratio) > 0.7 * RANGE else "black"
                axes.text(
                    column, row, f"{100 * share:.0f}", ha="center", va="center",
                    color=colour, fontsize=style.SMALLEST_FONT,
                )  # fmt: skip
            levels, decays = table["ratio"].columns, table.index
            ticks = [f"{100 * level:.4g}" for level in levels]
            axes.set_xticks(range(len(levels)), ticks, rotation=60)
            axes.set_yticks(range(len(decays)), [f"{decay:g}" for decay in decays])
            axes.set(xlabel="noise (%)", title=title)
            axes.grid(visible=False)
        panels[0].set_ylabel("slowest eigenvalue")
        if image is not None:
            bar = figure.colorbar(image, ax=list(panels), extend="both", pad=0.01)
            bar.set_label("log$_{10}$ error DMD / last $h$")
        reading = READING.format(draws=int(frame["draws"].iloc[0]))
        return Drawing(figure, "\n\n".join([self.title, reading, provenance(frame)]) + "\n")
