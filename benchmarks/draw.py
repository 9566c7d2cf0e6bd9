"""A benchmark's result as a figure: bars of ours beside the peers', lines where it scales."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from glocal_exp.report import style

# Apart in grey too: dark and plain against light and hatched.
OURS: dict[str, Any] = {"facecolor": style.BLUE}
PEERS: dict[str, Any] = {
    "facecolor": style.ORANGE,
    "hatch": "////",
    "edgecolor": "white",
    "linewidth": 0.0,
}
BAR, PANEL = 0.16, 0.42  # inches of a bar, and of a panel of bars beside them
LONG = 10.0  # seconds, from which on they are what is drawn
COLUMNS, LINE_HEIGHT = 2, 1.7  # of panels of lines, inches
LEGEND = 0.15  # of a panel's height, what one entry of its legend takes
Comparisons = Sequence[Mapping[str, Any]]


def figure(result: Mapping[str, Any]) -> Figure:
    """Bars, or lines if the comparisons lie on axes; drawn inside `style.applied`."""
    comparisons = result["comparisons"]
    drawn = (_lines if comparisons[0]["point"] else _bars)(comparisons)
    if result["doubtful"]:
        drawn.suptitle("doubtful: see the table", color=style.VERMILLION)
    return drawn


def _bars(comparisons: Comparisons) -> Figure:
    heights = [PANEL + BAR * len(c["candidates"]) for c in comparisons]
    drawn = Figure(figsize=(style.COLUMN_WIDTH, sum(heights) + 0.3))
    panels = drawn.subplots(len(comparisons), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, comparison in zip(panels, comparisons, strict=True):
        ways = comparison["candidates"]
        long = max(way["summary"]["max"] for way in ways) >= LONG
        for place, way in enumerate(ways):
            low, middle, high = _range(way, 1.0 if long else 1e3)
            axes.barh(place, middle, 0.75, **(OURS if way["ours"] else PEERS))
            axes.plot([low, high], [place, place], color=style.BLACK, linewidth=0.8)
            parts = [(name.partition(", "), value) for name, value in way["facts"].items()]
            known = ", ".join(
                f"{what} {value:.2g} {unit}".rstrip() for (what, _, unit), value in parts
            )
            where = {"textcoords": "offset points", "va": "center"}
            axes.annotate(known, (high, place), (3, 0), fontsize=style.SMALLEST_FONT, **where)
        axes.set_yticks(range(len(ways)), [way["name"] for way in ways])
        axes.set_ylim(len(ways) - 0.5, -0.5)
        axes.set_xlim(0, None)
        axes.grid(visible=False, axis="y")
        unit = f"{'s' if long else 'ms'} per {comparison['unit']}"
        axes.set_title(f"{comparison['name']} ({unit})", loc="right")
    if not all(way["ours"] for c in comparisons for way in c["candidates"]):
        handles = [Patch(label="ours", **OURS), Patch(label="peers", **PEERS)]
        drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    return drawn


def _lines(comparisons: Comparisons) -> Figure:
    names = list(dict.fromkeys(c["point"][0] for c in comparisons))
    rows = -(-len(names) // COLUMNS)
    drawn = Figure(figsize=(style.PAGE_WIDTH, LINE_HEIGHT * rows))
    panels = drawn.subplots(rows, COLUMNS, squeeze=False).ravel()
    ways = dict.fromkeys(way["name"] for c in comparisons for way in c["candidates"])
    looks = zip(ways, cycle(style.STYLES.values()), strict=False)
    styles = {way: style.STYLES.get(way, other) for way, other in looks}
    for axes, name in zip(panels, names, strict=False):
        _panel(axes, [c for c in comparisons if c["point"][0] == name], styles)
    for axes in panels[len(names) :]:
        axes.remove()
    return drawn


def _panel(axes: Axes, comparisons: Comparisons, styles: Mapping[str, style.MethodStyle]) -> None:
    """One line a way, with the range of its rounds."""
    points: dict[str, list[tuple[float, ...]]] = {}
    for comparison in sorted(comparisons, key=lambda c: c["point"][1]):
        for way in comparison["candidates"]:
            points.setdefault(way["name"], []).append((comparison["point"][1], *_range(way, 1e3)))
    for name, found in points.items():
        (x, low, middle, high), look = zip(*found, strict=True), styles[name]
        (line,) = axes.plot(x, middle, look.marker, color=look.colour, markersize=3.2, label=name)
        line.set_linestyle(look.line)
        axes.fill_between(x, low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel=comparisons[0]["point"][0])
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (LEGEND * len(points)))
    ticks = [comparison["point"][1] for comparison in comparisons]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylabel(f"ms per {comparisons[0]['unit']}")
    axes.legend(fontsize=style.SMALLEST_FONT, loc="upper left")


def _range(way: Mapping[str, Any], scale: float) -> list[float]:
    return [scale * way["summary"][name] for name in ("min", "median", "max")]
