"""One look for all figures: print sizes, fonts, and a colour, line and marker for each method."""

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from jaxtyping import Shaped
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLUMN_WIDTH = 3.25  # inches: one column of a two-column paper
PAGE_WIDTH = 6.75
SMALLEST_FONT = 7.0  # points at print size
LEGEND_ROW, LEGEND_HANDLE = 105, 10  # letters that fit above a page's panels; of them a line's
LOOK = Path(__file__).with_name("paper.mplstyle")

# The Okabe-Ito palette (Okabe & Ito 2008), which colour-blind readers can tell apart.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
BROWN = "#5A3E1B"  # not of the palette, whose colours left over are too light for lines

MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "color": BLUE},
    {"marker": "s", "color": VERMILLION},
    {"marker": "^", "color": GREEN},
    {"marker": "D", "color": PURPLE},
)
"""Where what is told apart is no method."""


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn and called."""

    label: str
    colour: str
    line: Any  # as matplotlib takes it: a name or (offset, dashes)
    marker: str


STYLES = {
    "none": MethodStyle("none (constant)", BLACK, (0, (1, 1.2)), "|"),
    "local": MethodStyle("local", SKY, (0, (6, 1.5, 1.5, 1.5)), "D"),
    "local_every": MethodStyle("local, every $h_t$", GREEN, (0, (3, 1, 1, 1, 1, 1)), "P"),
    "window_mean": MethodStyle("window mean", PURPLE, (0, (3, 1.2)), "^"),
    "one_step": MethodStyle("one step", ORANGE, (0, (5, 1, 1, 1, 1, 1, 1, 1)), "<"),
    "glocal": MethodStyle("glocal", VERMILLION, "-", "o"),
    "global": MethodStyle("global", BLUE, (0, (7, 2)), "s"),
    "split": MethodStyle("split", "#6A51A3", (0, (8, 1, 1, 1)), "p"),
    "global_restart": MethodStyle("global, restarted", BROWN, (0, (7, 2, 1, 2)), ">"),
}
NAMES = {
    "constant": "always up", "lower": "always down", "shuffled": "random signs",
    "split_bare": "split, nothing carried", "mean_iterate": "$h$ at the mean iterate",
    "best_constant": "best constant rate", "cosine": "best cosine", "random": "random search",
    "tpe": "TPE", "dog": "DoG", "fds": "FDS", "hd": "HD", "hyperdistill": "HyperDistill",
    "marthe": "MARTHE", "mechanize": "Mechanic", "metaoptimize": "MetaOptimize", "pes": "PES",
    "prodigy": "Prodigy", "rtho": "RTHO", "schedule_free_adamw": "schedule-free AdamW",
    "schedule_free_sgd": "schedule-free SGD", "t1t2": "T1-T2",
}  # fmt: skip
"""What their authors call them, and what those do that follow no gradient."""
# For methods that are not in the list: still apart from each other by line and marker.
SPARE = (
    (GREEN, (0, (4, 1, 1, 1, 1, 1)), "v"), ("#8C8C8C", (0, (2, 1)), "*"), (YELLOW, "-", "h"),
    (BLUE, (0, (1, 2.5)), "X"), (VERMILLION, (0, (5, 3)), "d"), (BROWN, (0, (2, 2, 6, 2)), "H"),
    (PURPLE, (0, (9, 3)), "8"), (SKY, (0, (1, 1, 3, 1)), "1"), (ORANGE, (0, (4, 4)), "2"),
    (GREEN, (0, (6, 1, 2, 1, 2, 1)), "3"), ("#6A51A3", (0, (3, 3, 1, 3)), "4"),
    ("#8C8C8C", (0, (7, 1, 3, 1)), "x"), (BLUE, (0, (2, 4)), "+"),
    (VERMILLION, (0, (1, 3, 1, 1)), "."), (BROWN, (0, (10, 2, 2, 2)), "_"),
    (PURPLE, (0, (2, 2)), "X"), (GREEN, (0, (12, 3)), "d"), ("#8C8C8C", (0, (1, 1, 6, 1)), "H"),
    (ORANGE, (0, (3, 1, 3, 3)), "8"), (SKY, (0, (8, 2, 3, 2)), "<"), (BLUE, (0, (5, 1, 2, 3)), "P"),
    ("#6A51A3", (0, (2, 1, 5, 1)), "^"), (VERMILLION, (0, (6, 3, 1, 3)), ">"),
    (GREEN, (0, (1, 1, 4, 3)), "D"),
)  # fmt: skip


def method_order(methods: Iterable[str]) -> list[str]:
    """Known methods in the order of the legend, then the others by name."""
    found = set(methods)
    return [name for name in STYLES if name in found] + sorted(found - STYLES.keys())


def method_styles(methods: Iterable[str]) -> dict[str, MethodStyle]:
    """The style of each method; those without one of their own take the spare ones in turn."""
    spare = cycle(SPARE)
    return {
        name: STYLES.get(name) or MethodStyle(NAMES.get(name, name.replace("_", " ")), *next(spare))
        for name in method_order(methods)
    }


def panels(
    rows: int, columns: int, height: float, **options: Any
) -> tuple[Figure, Shaped[np.ndarray, "rows columns"]]:
    """A figure as wide as the page, `height` in inches, with its axes by row and column."""
    figure = Figure(figsize=(PAGE_WIDTH, height))
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend_above(figure: Figure, handles: Sequence[Artist], **options: Any) -> None:
    """A legend above all panels, in one row if nothing else is said."""
    options = {"ncols": len(handles)} | options
    figure.legend(handles=handles, loc="outside upper center", **options)


def legend_of(figure: Figure, looks: Mapping[str, Mapping[str, Any]], **options: Any) -> None:
    """`legend_above` of what is drawn so, by label."""
    handles = [Line2D([], [], **look, label=label) for label, look in looks.items()]
    legend_above(figure, handles, **options)


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """A row for each label, from the top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def method_legend(figure: Figure, methods: Iterable[str], diverged: bool) -> None:
    """A legend of methods, and of the mark of divergence, in as many rows as they need."""
    handles = [
        Line2D(
            [], [], color=look.colour, linestyle=look.line, marker=look.marker,
            linewidth=1.2, markersize=3.2, label=look.label,
        )
        for look in method_styles(methods).values()
    ]  # fmt: skip
    if diverged:
        cross: dict[str, Any] = {"color": "#555555", "linestyle": "", "marker": "X"}
        handles.append(Line2D([], [], **cross, markersize=5, label="diverged"))
    widths = [len(str(handle.get_label())) + LEGEND_HANDLE for handle in handles]
    columns = len(handles) if sum(widths) <= LEGEND_ROW else max(1, LEGEND_ROW // max(widths))
    legend_above(figure, handles, columnspacing=1.4, ncols=columns)


def draw_quartiles(
    axes: Axes, frame: pd.DataFrame, along: str, column: str, shade: float, **look: Any
) -> None:
    """A column's line, as `look` says, and a shade between `<column>_low` and `<column>_high`."""
    frame = frame.sort_values(along)
    axes.plot(frame[along], frame[column], **look)
    if f"{column}_low" in frame:
        low, high = frame[f"{column}_low"], frame[f"{column}_high"]
        axes.fill_between(frame[along], low, high, color=look["color"], alpha=shade, linewidth=0)


@contextlib.contextmanager
def applied() -> Iterator[None]:
    """Draw and save inside this context."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a reader's own matplotlibrc changes nothing
        matplotlib.style.use(LOOK)
        yield


def render(figure: Figure) -> dict[str, bytes]:
    """The figure as `pdf` and `png` bytes, the same bytes for the same runs: no dates inside."""
    rendered = {}
    for kind, dates in (("pdf", ("CreationDate", "Creator", "Producer")), ("png", ("Software",))):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=dict.fromkeys(dates))
        rendered[kind] = buffer.getvalue()
    return rendered
