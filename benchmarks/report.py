"""A benchmark's result as tables and as a figure: bars beside the peers', lines where it scales."""

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from glocal_exp.report import style

# Apart in grey too: dark and plain against light and hatched.
OURS: dict[str, Any] = {"label": "ours", "facecolor": style.BLUE}
PEERS: dict[str, Any] = {"label": "peers", "facecolor": style.ORANGE}
PEERS |= {"hatch": "////", "edgecolor": "white"}
BAR, PANEL = 0.16, 0.42  # inches of a bar, and of a panel of bars beside them
COLUMNS, LINE_HEIGHT = 2, 1.7  # of panels of lines, inches
SPAN = ["summary.min", "summary.median", "summary.max"]


def document(result: Mapping[str, Any]) -> str:
    """Markdown: targets, every way to do every piece of work, and what it was measured on."""
    tables = [_targets(result)] if result["targets"] else []
    tables.append(_times(result))
    parts = [f"# {result['title']}", *map(_markdown, tables), *_circumstances(result)]
    return "\n\n".join(parts) + "\n"


def figure(result: Mapping[str, Any]) -> Figure:
    """Bars, or lines if the comparisons lie on axes; drawn inside `style.applied`."""
    ways = _tidy(result)
    drawn = _lines(ways) if any(ways["work.point"].notna()) else _bars(ways)
    if result["doubtful"]:
        drawn.suptitle("doubtful: see the table", color=style.VERMILLION)
    return drawn


def _tidy(result: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each way: its name, ms (`SPAN`) and facts, and what is known of the work."""
    work: Any = ["name", "unit", "point"]
    ways = pd.json_normalize(result["comparisons"], "candidates", work, meta_prefix="work.")
    ways[SPAN] *= 1e3
    return ways


def _targets(result: Mapping[str, Any]) -> pd.DataFrame:
    rows = []
    for target in result["targets"]:
        ratio, most, verdict = target["ratio"], target["most"], "-"
        if ratio and most is not None:
            verdict = "doubtful" if result["doubtful"] else "met" if target["met"] else "missed"
        measured = _range(*ratio.values()) if ratio else "not measured"
        sides = f"{target['ours']}; {target['other']}" if ratio else "-"
        aim = "-" if most is None else f"{most:g}"
        rows.append([target["name"], measured, aim, verdict, sides])
    return pd.DataFrame(rows, columns=["ratio", "median (range)", "target", "", "of, over"])


def _times(result: Mapping[str, Any]) -> pd.DataFrame:
    ways = _tidy(result)
    work = ways["work.name"] + " (per " + ways["work.unit"] + ")"
    table = pd.DataFrame({"work": work.mask(work.duplicated(), "")})
    table["way"] = ways["name"].mask(ways["ours"], "**" + ways["name"] + "**")
    table["ms, median (range)"] = [_range(*span) for span in ways[SPAN].to_numpy()]
    for column in sorted(ways.filter(like="facts.")):
        name = column.removeprefix("facts.")
        table[name] = ways[column].map("{:.3g}".format, na_action="ignore")
    return table.fillna("-")


def _circumstances(result: Mapping[str, Any]) -> Iterator[str]:
    machine, others = result["machine"], result["others"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    busy = "" if others is None else f"; others took {100 * others:.0f} % of the cores meanwhile"
    yield (
        f"Medians of {result['rounds']} rounds in which all candidates take turns "
        f"({result['time']}); ratios are taken round by round, to the cheapest way of each side; "
        "bold is ours."
    )
    yield from result["notes"]
    yield (f"{machine['processor']}, {machine['cores']} used{busy}; {packages}.")
    yield from (f"Not timed: {name} ({why})." for name, why in result["missing"].items())
    if result["doubtful"]:
        yield f"Warning: these times are doubtful: {'; '.join(result['doubtful'])}."


def _range(low: float, middle: float, high: float) -> str:
    digits = 2 if middle >= 0.1 else 4
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table), ["---"] * len(table.columns), *table.to_numpy()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _bars(ways: pd.DataFrame) -> Figure:
    """A panel for each comparison, with a bar for each way and the range of its rounds."""
    groups: Any = list(ways.groupby(["work.name", "work.unit"], sort=False))
    heights = [PANEL + BAR * len(group) for _, group in groups]
    drawn = Figure(figsize=(style.COLUMN_WIDTH, sum(heights) + 0.3))
    panels = drawn.subplots(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, ((name, unit), group) in zip(panels, groups, strict=True):
        low, middle, high = group[SPAN].to_numpy().T
        spread = {"xerr": (middle - low, high - middle), "error_kw": {"elinewidth": 0.8}}
        bars = axes.barh(group["name"], middle, 0.75, **spread)
        for bar, ours in zip(bars, group["ours"], strict=True):
            bar.set(linewidth=0, **(OURS if ours else PEERS))
        axes.set(xlim=(0, None), ylim=(len(group) - 0.5, -0.5))
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{name} (ms per {unit})", loc="right")
    if not all(ways["ours"]):
        handles = [Patch(linewidth=0, **look) for look in (OURS, PEERS)]
        drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    return drawn


def _lines(ways: pd.DataFrame) -> Figure:
    """A panel for each axis, with a line for each way and the range of its rounds."""
    ways["axis"], ways["x"] = ways["work.point"].str[0], ways["work.point"].str[1]
    looks = dict(zip(ways["name"].unique(), cycle(style.MARKS)))
    groups: Any = list(ways.groupby(["axis", "work.unit"], sort=False))
    rows = -(-len(groups) // COLUMNS)
    drawn, panels = style.panels(rows, COLUMNS, LINE_HEIGHT * rows)
    for axes in panels.flat[len(groups) :]:
        axes.remove()
    for axes, ((name, unit), group) in zip(panels.flat, groups, strict=False):
        for way, points in group.groupby("name", sort=False):
            low, middle, high = points[SPAN].to_numpy().T
            look = {**looks[way], "markersize": 3.2, "elinewidth": 0.8, "label": way}
            axes.errorbar(points["x"], middle, (middle - low, high - middle), **look)
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel=f"ms per {unit}")
        ticks = group["x"].unique()
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.margins(y=0.4)  # with room for the legend
        axes.legend(fontsize=style.SMALLEST_FONT)
    return drawn
