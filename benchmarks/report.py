"""A benchmark's result as tables and as a figure: bars beside the peers', lines where it scales."""

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from glocal_exp.report import style

# Apart in grey too: dark and plain against light and hatched.
OURS: dict[str, Any] = {"label": "ours", "facecolor": style.BLUE}
PEERS: dict[str, Any] = {
    "label": "peers",
    "facecolor": style.ORANGE,
    "hatch": "////",
    "edgecolor": "white",
}
BAR, PANEL = 0.16, 0.42  # inches of a bar, and of a panel of bars beside them
LONG = 10.0  # seconds, from which on they are what is drawn
COLUMNS, LINE_HEIGHT = 2, 1.7  # of panels of lines, inches
LEGEND = 0.15  # of a panel's height, what one entry of its legend takes
SPAN = ["median_low", "median", "median_high"]  # as `style.draw_quartiles` calls them


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
    """A row for each way: its name, seconds (`SPAN`) and facts, and what is known of the work."""
    work: Any = ["name", "unit", "point"]
    ways = pd.json_normalize(result["comparisons"], "candidates", work, meta_prefix="work.")
    ways[SPAN] = ways[["summary.min", "summary.median", "summary.max"]]
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
    table["ms, median (range)"] = [_range(*span) for span in 1e3 * ways[SPAN].to_numpy()]
    numbers = {}
    if "of_peak" in ways:
        numbers["GFLOP/s"] = "{:.0f}", ways["of_peak"] * result["peak_flops"] / 1e9
        numbers["of peak"] = "{:.0f} %", 100 * ways["of_peak"]
    for column in sorted(ways.filter(like="facts.")):
        numbers[column.removeprefix("facts.")] = "{:.3g}", ways[column]
    for name, (form, values) in numbers.items():
        table[name] = values.map(form.format, na_action="ignore")
    return table.fillna("-")


def _circumstances(result: Mapping[str, Any]) -> Iterator[str]:
    machine, others = result["machine"], result["others"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    busy = "" if others is None else f", others took {100 * others:.0f} % of the cores meanwhile"
    yield (
        f"Medians of {result['rounds']} rounds in which all candidates take turns "
        f"({result['time']}); ratios are taken round by round, to the cheapest way of each side; "
        "bold is ours."
    )
    yield from result["notes"]
    yield (
        f"{machine['processor']}, {machine['cores']} used; peak of matrix products "
        f"{result['peak_flops'] / 1e9:.0f} GFLOP/s; load a core {result['load_before']:.2f} before "
        f"the start{busy}; {packages}."
    )
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
    groups = [group for _, group in ways.groupby("work.name", sort=False)]
    heights = [PANEL + BAR * len(group) for group in groups]
    drawn = Figure(figsize=(style.COLUMN_WIDTH, sum(heights) + 0.3))
    panels = drawn.subplots(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        unit, scale = ("s", 1.0) if max(group["median_high"]) >= LONG else ("ms", 1e3)
        low, middle, high = scale * group[SPAN].to_numpy().T
        spread = {"xerr": (middle - low, high - middle), "error_kw": {"elinewidth": 0.8}}
        bars = axes.barh(group["name"], middle, 0.75, **spread)
        for bar, ours in zip(bars, group["ours"], strict=True):
            bar.set(linewidth=0, **(OURS if ours else PEERS))
        known = [_known(facts) for _, facts in group.filter(like="facts.").iterrows()]
        axes.bar_label(bars, known, padding=3, fontsize=style.SMALLEST_FONT)
        axes.set(xlim=(0, None), ylim=(len(group) - 0.5, -0.5))
        axes.grid(visible=False, axis="y")
        what = group.iloc[0]
        axes.set_title(f"{what['work.name']} ({unit} per {what['work.unit']})", loc="right")
    if not all(ways["ours"]):
        handles = [Patch(linewidth=0, **look) for look in (OURS, PEERS)]
        drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    return drawn


def _lines(ways: pd.DataFrame) -> Figure:
    """A panel for each axis, with a line for each way and the range of its rounds."""
    ways[SPAN] *= 1e3
    ways["axis"], ways["x"] = (ways["work.point"].str[place] for place in (0, 1))
    looks = zip(ways["name"].unique(), cycle(style.STYLES.values()))
    styles = {way: style.STYLES.get(way, other) for way, other in looks}
    groups = list(ways.groupby("axis", sort=False))
    rows = -(-len(groups) // COLUMNS)
    drawn = Figure(figsize=(style.PAGE_WIDTH, LINE_HEIGHT * rows))
    places = np.minimum(np.arange(rows * COLUMNS), len(groups) - 1)  # the last fills its row
    panels = drawn.subplot_mosaic(places.reshape(rows, COLUMNS).tolist())
    for place, (name, group) in enumerate(groups):
        _panel(panels[place], group, styles)
        panels[place].set_xlabel(str(name))
    return drawn


def _panel(axes: Axes, ways: pd.DataFrame, styles: Mapping[str, style.MethodStyle]) -> None:
    for name, points in ways.groupby("name", sort=False):
        look = styles[str(name)]
        drawn: Any = {"color": look.colour, "linestyle": look.line, "marker": look.marker}
        style.draw_quartiles(axes, points, "x", "median", 0.15, **drawn, markersize=3.2, label=name)
    axes.set(xscale="log", yscale="log", ylabel=f"ms per {ways['work.unit'].iloc[0]}")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (LEGEND * len(set(ways["name"]))))
    ticks = list(ways["x"].unique())
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=style.SMALLEST_FONT, loc="upper left")


def _known(facts: pd.Series) -> str:
    """`memory 0.16 GiB, fidelity 0.9` of facts called `memory, GiB` and `fidelity`."""
    parts = [
        (str(name).removeprefix("facts.").partition(", "), x) for name, x in facts.dropna().items()
    ]
    return ", ".join(f"{what} {value:.2g} {unit}".rstrip() for (what, _, unit), value in parts)
