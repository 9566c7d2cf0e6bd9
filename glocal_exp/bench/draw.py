"""A benchmark's result as a figure: bars of ours beside the peers', lines where it scales."""

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
BAR = 0.16  # inches
PANEL = 0.42  # inches of a panel of bars beside its bars
LONG = 10.0  # seconds, from which on they are what is drawn
COLUMNS = 2
LINE_HEIGHT = 1.7  # inches
LEGEND = 0.15
"""Of a panel's height, what one entry of its legend takes."""


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
        scale, unit = _time_unit(ways)
        for place, way in enumerate(ways):
            low, middle, high = (scale * way["summary"][n] for n in ("min", "median", "max"))
            axes.barh(place, middle, 0.75, **(OURS if way["ours"] else PEERS))
            axes.plot([low, high], [place, place], color=style.BLACK, linewidth=0.8)
            known = ", ".join(_fact(name, value) for name, value in way["facts"].items())
            axes.annotate(
                known, (high, place), (3, 0), textcoords="offset points", va="center",
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


def _time_unit(ways: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    """How many of the unit a second has, and its name."""
    longest = max(way["summary"]["max"] for way in ways)
    return (1.0, "s") if longest >= LONG else (1e3, "ms")


def _lines(comparisons: Sequence[Mapping[str, Any]]) -> Figure:
    axes_names = list(dict.fromkeys(c["point"][0] for c in comparisons))
    rows = math.ceil(len(axes_names) / COLUMNS)
    drawn = Figure(figsize=(style.PAGE_WIDTH, LINE_HEIGHT * rows))
    panels = drawn.subplots(rows, COLUMNS, squeeze=False).ravel()
    ways = list(dict.fromkeys(way["name"] for c in comparisons for way in c["candidates"]))
    lines = {way: LINES[place % len(LINES)] for place, way in enumerate(ways)}
    lines |= {w: (s.colour, s.line, s.marker) for w, s in style.STYLES.items() if w in lines}
    for axes, name in zip(panels, axes_names, strict=False):
        chosen = [c for c in comparisons if c["point"][0] == name]
        _panel(axes, chosen, lines)
        axes.set_xlabel(name)
        axes.set_ylabel(f"ms per {chosen[0]['unit']}")
        axes.legend(fontsize=style.SMALLEST_FONT, loc="upper left")
    for axes in panels[len(axes_names) :]:
        axes.remove()
    return drawn


def _panel(
    axes: Axes, comparisons: Sequence[Mapping[str, Any]], lines: Mapping[str, Sequence[Any]]
) -> None:
    """One line a way, with the range of its rounds."""
    names = list(dict.fromkeys(way["name"] for c in comparisons for way in c["candidates"]))
    for name in names:
        found = sorted(
            (c["point"][1], way["summary"])
            for c in comparisons
            for way in c["candidates"]
            if way["name"] == name
        )
        x = [value for value, _ in found]
        low, middle, high = (
            [1e3 * summary[n] for _, summary in found] for n in ("min", "median", "max")
        )
        colour, line, marker = lines[name]
        axes.plot(
            x, middle, color=colour, linestyle=line, marker=marker, markersize=3.2, label=name
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (LEGEND * len(names)))
    ticks = sorted({c["point"][1] for c in comparisons})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
