"""A benchmark's result as a figure: bars of ours beside the peers', lines where it scales."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from glocal_exp.report import style

# Apart in grey too: dark and plain against light and hatched.
OURS = {"facecolor": style.BLUE}
PEERS = {"facecolor": style.ORANGE, "hatch": "////", "edgecolor": "white", "linewidth": 0.0}
LINES = (
    (style.BLACK, (0, (1, 1.2)), "|"),
    (style.BLUE, "-", "o"),
    (style.VERMILLION, (0, (6, 1.5)), "s"),
    (style.GREEN, (0, (3, 1, 1, 1)), "^"),
    (style.PURPLE, (0, (8, 1, 1, 1)), "D"),
)
BAR, PANEL = 0.16, 0.42  # inches of a bar, and of a panel of bars beside them
LONG = 10.0  # seconds, from which on they are what is drawn
COLUMNS, LINE_HEIGHT = 2, 1.7  # of panels of lines, inches
LEGEND = 0.15  # of a panel's height, what one entry of its legend takes


def figure(result: Mapping[str, Any]) -> Figure:
    """Bars, or lines if the comparisons lie on axes; drawn inside `style.applied`."""
    points = [c for c in result["comparisons"] if c["point"]]
    drawn = _lines(points) if points else _bars(result["comparisons"])
    if result["doubtful"]:
        drawn.suptitle("doubtful: see the table", color=style.VERMILLION)
    return drawn


def _bars(comparisons: Sequence[Mapping[str, Any]]) -> Figure:
    heights = [PANEL + BAR * len(c["candidates"]) for c in comparisons]
    drawn = Figure(figsize=(style.COLUMN_WIDTH, sum(heights) + 0.3))
    panels = drawn.subplots(len(comparisons), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, comparison in zip(panels, comparisons, strict=True):
        ways = comparison["candidates"]
        seconds = max(way["summary"]["max"] for way in ways) >= LONG
        scale, unit = (1.0, "s") if seconds else (1e3, "ms")
        for place, way in enumerate(ways):
            low, middle, high = _range(way, scale)
            axes.barh(place, middle, 0.75, **(OURS if way["ours"] else PEERS))
            axes.plot([low, high], [place, place], color=style.BLACK, linewidth=0.8)
            axes.annotate(
                ", ".join(_fact(name, value) for name, value in way["facts"].items()),
                (high, place), (3, 0), textcoords="offset points", va="center",
                fontsize=style.SMALLEST_FONT,
            )  # fmt: skip
        axes.set_yticks(range(len(ways)), [way["name"] for way in ways])
        axes.set_ylim(len(ways) - 0.5, -0.5)
        axes.set_xlim(0, None)
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{comparison['name']} ({unit} per {comparison['unit']})", loc="right")
    if any(not way["ours"] for c in comparisons for way in c["candidates"]):
        handles = [Patch(label="ours", **OURS), Patch(label="peers", **PEERS)]
        drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    return drawn


def _fact(name: str, value: float) -> str:
    """`memory, GiB` with its unit behind the number."""
    what, _, unit = name.partition(", ")
    return f"{what} {value:.2g} {unit}".rstrip()


def _range(way: Mapping[str, Any], scale: float) -> list[float]:
    return [scale * way["summary"][name] for name in ("min", "median", "max")]


def _lines(comparisons: Sequence[Mapping[str, Any]]) -> Figure:
    axes_names = list(dict.fromkeys(c["point"][0] for c in comparisons))
    rows = math.ceil(len(axes_names) / COLUMNS)
    drawn = Figure(figsize=(style.PAGE_WIDTH, LINE_HEIGHT * rows))
    panels = drawn.subplots(rows, COLUMNS, squeeze=False).ravel()
    lines = dict(zip(_ways(comparisons), itertools.cycle(LINES)))
    lines |= {w: (s.colour, s.line, s.marker) for w, s in style.STYLES.items() if w in lines}
    for axes, name in zip(panels, axes_names, strict=False):
        _panel(axes, [c for c in comparisons if c["point"][0] == name], lines)
        axes.set_xlabel(name)
    for axes in panels[len(axes_names) :]:
        axes.remove()
    return drawn


def _panel(
    axes: Axes, comparisons: Sequence[Mapping[str, Any]], lines: Mapping[str, Sequence[Any]]
) -> None:
    """One line a way, with the range of its rounds."""
    ways = _ways(comparisons)
    for name in ways:
        found = sorted(
            (c["point"][1], *_range(way, 1e3))
            for c in comparisons
            for way in c["candidates"]
            if way["name"] == name
        )
        x, low, middle, high = zip(*found, strict=True)
        colour, line, marker = lines[name]
        axes.plot(
            x, middle, color=colour, linestyle=line, marker=marker, markersize=3.2, label=name
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (LEGEND * len(ways)))
    ticks = sorted({c["point"][1] for c in comparisons})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylabel(f"ms per {comparisons[0]['unit']}")
    axes.legend(fontsize=style.SMALLEST_FONT, loc="upper left")


def _ways(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(way["name"] for c in comparisons for way in c["candidates"]))
