"""Error against noise: one column a choice of the decomposition, beside the trivial estimates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glocal_exp.report import style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.study import chosen, provenance, rows

HEIGHT = 4.3  # inches
LEGEND = 0.5  # of a panel's height
COLOURS = (style.VERMILLION, style.BLUE, style.GREEN, style.PURPLE)
LINES = ("-", (0, (6, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = "os^D"
TRIVIAL = {
    "last": ("last $h$", style.BLACK, (0, (1, 1.5))),
    "mean": ("window mean", "#8C8C8C", "-"),
}
READING = (
    "Affine maps with a known fixed point and eigenvalues 0.9, 0.7 and 0.5, window of {window} "
    "and {delays} delays, white noise in units of each component's root mean square; medians and "
    "quartiles over {draws} draws, the same for all. Above: error of the steady state, root mean "
    "square over the components in units of their size; below: the largest relative distance from "
    "a true eigenvalue to the nearest one found (1: there is none near). What a panel does not "
    "name is the default: least squares, full rank, amplitudes of the first snapshot, no scaling."
)


@dataclass(frozen=True)
class NoiseFigure:
    """Errors of the steady state above those of the eigenvalues.

    Attributes:
        title: the caption's first sentence.
        panels: title of a column -> system and `variants`, each with its label.
        window, delays: of the study, for the caption.
    """

    title: str
    panels: Mapping[str, Mapping[str, Any]]
    window: int = 80
    delays: int = 10
    study: str = "noise"

    def draw(self, context: Context) -> Drawing:
        frame = rows(context, self.study)
        figure = Figure(figsize=(style.PAGE_WIDTH, HEIGHT))
        panels = figure.subplots(
            3, len(self.panels), sharey="row", squeeze=False, height_ratios=(1, 1, LEGEND)
        )
        columns = zip(self.panels.items(), panels.T, strict=True)
        for (title, panel), (upper, lower, below) in columns:
            seen = chosen(frame, {"comparison": "variants", "system": panel["system"]})
            upper.set_title(title)
            for number, (variant, label) in enumerate(panel["variants"].items()):
                look = (COLOURS[number], LINES[number], MARKERS[number])
                found = chosen(seen, {"variant": variant})
                draw_error(upper, found, "steady", label, *look)
                draw_error(lower, found, "spectral", label, *look)
            for name, (label, colour, line) in TRIVIAL.items():
                draw_error(upper, chosen(seen, {"variant": name}), "steady", label, colour, line)
            handles, labels = upper.get_legend_handles_labels()
            below.set_axis_off()
            below.legend(
                handles, labels, loc="upper center", fontsize=style.SMALLEST_FONT,
                handlelength=2.6, labelspacing=0.3, borderaxespad=0,
            )  # fmt: skip
            upper.tick_params(labelbottom=False)
            lower.set_xlabel("noise")
        panels[0, 0].set_ylabel("error of the steady state")
        panels[1, 0].set_ylabel("error of the eigenvalues")
        draws = int(frame["draws"].iloc[0])
        reading = READING.format(window=self.window, delays=self.delays, draws=draws)
        return Drawing(figure, "\n\n".join([self.title, reading, provenance(frame)]) + "\n")


def draw_error(
    axes: Axes,
    frame: pd.DataFrame,
    quantity: str,
    label: str,
    colour: str,
    line: Any,
    marker: str = "",
) -> None:
    """Median against noise, quartiles shaded."""
    frame = frame.sort_values("level")
    axes.plot(
        frame["level"], frame[quantity], label=label, color=colour, linestyle=line,
        marker=marker, markersize=2.6, linewidth=1.0,
    )  # fmt: skip
    low, high = frame[f"{quantity}_low"], frame[f"{quantity}_high"]
    axes.fill_between(frame["level"], low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set(xscale="log", yscale="log")
    axes.set_xticks([1e-6, 1e-4, 1e-2])
    axes.minorticks_off()
