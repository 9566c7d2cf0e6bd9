"""Interactive figures: panels of traces that switches turn on and off, all drawn in one way.

A trace's `meta` says what it belongs to (`{"method": "glocal", "seed": 0}`); a switch of the figure
hides the traces of one such value in all of its panels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from glocal_exp.report import style

MEAN = "mean"  # what stands for a seed where a trace is of all seeds together
INK, GRID = "#222222", "#DDDDDD"
ZERO = {"zeroline": True, "zerolinecolor": INK}
DIGITS = 5  # that count; more would not be seen
ROW = 26  # pixels to a line of a row
AROUND = 60  # and to what is above and below them
Switches = dict[str, dict[str, tuple[str, str]]]
TEX = {
    r"$\beta_1$": "beta 1", r"$\beta_2$": "beta 2", "$h_t$": "h",
    r"$|h_T-\hat h_\infty|$": "the error",
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str  # above it, in HTML, so that it breaks where it has to
    traces: Sequence[go.Scatter]  # of Plotly, each with a name and with `meta`
    x: Mapping[str, Any] = field(default_factory=dict)
    y: Mapping[str, Any] = field(default_factory=dict)
    height: int = 235  # pixels

    def as_plotly(self) -> dict[str, Any]:
        """Data and layout; a mistake in a setting is an error here."""
        axis: dict[str, Any] = {
            "gridcolor": GRID, "linecolor": INK, "zeroline": False, "ticks": "outside",
            "showline": True, "automargin": True,
        }  # fmt: skip
        layout = go.Layout(
            template="none",
            font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
            xaxis=axis | dict(self.x),
            yaxis=axis | dict(self.y),
            showlegend=False,
            hovermode="closest",
            height=self.height,
            margin={"l": 48, "r": 14, "t": 8, "b": 42},
        )
        return go.Figure(list(self.traces), layout).to_plotly_json()


@dataclass(frozen=True)
class Chart:
    """An interactive figure."""

    name: str  # its id in the page
    title: str  # what it shows and what it is of
    panels: Sequence[Panel]
    switches: Switches  # key of `meta` -> value -> as printed, with its colour if it has one
    source: str = ""  # where its numbers are from
    rows: bool = False  # whether a panel has labelled rows, and so is wide


def numbers(values: Any) -> list[float | None]:
    """As many digits as count, None for what is not finite."""
    return [None if v != v or abs(v) == float("inf") else float(f"{v:.{DIGITS}g}") for v in values]


def line(
    x: Any, y: Any, colour: str, meta: Mapping[str, Any], *, dash: str = "solid",
    bold: bool = False, lost: bool = False,
) -> go.Scatter:  # fmt: skip
    """A curve: thin for one seed, bold for a mean; a cross at its end if training was lost."""
    sizes = [0] * (len(x) - 1) + [10 * lost]
    shown = ", ".join(f"{key} {value}" if key == "seed" else value for key, value in meta.items())
    return go.Scatter(
        x=numbers(x), y=numbers(y), name=shown + ", diverged" * lost, meta=dict(meta),
        mode="lines+markers" if lost else "lines",
        marker={"size": sizes, "symbol": "x"} if lost else {},
        line={"color": colour, "width": 2.8 if bold else 1.2, "dash": dash},
        opacity=1 if bold else 0.75,
        hovertemplate="%{fullData.name}<br>%{x:,} : %{y:.4~g}<extra></extra>",
    )  # fmt: skip


def points(
    x: Any, y: Any, colour: str, meta: Mapping[str, Any], *, name: str, text: Any = "",
    error: Any = None, **marker: Any,
) -> go.Scatter:  # fmt: skip
    """Marks in rows, with the value of `x` under the pointer."""
    return go.Scatter(
        x=numbers(x), y=numbers(y), mode="markers", name=name, meta=dict(meta), text=text,
        marker={"color": colour, "size": 7, "opacity": 0.85} | marker, error_x=error,
        hovertemplate="%{fullData.name} %{text}<br>%{x:.4~g}<extra></extra>",
    )  # fmt: skip


def row_panel(
    title: str, traces: Sequence[go.Scatter], x: Mapping[str, Any], labels: Sequence[str],
    lines: int = 1,
) -> Panel:  # fmt: skip
    """A panel with a row for each label, of so many lines, from the top."""
    y = {
        "tickvals": list(range(len(labels))), "ticktext": list(labels),
        "range": [len(labels) - 0.5, -0.5], "showgrid": False,
    }  # fmt: skip
    return Panel(title, traces, x, y, AROUND + ROW * lines * len(labels))


def dashes(look: style.MethodStyle) -> str:
    """A method's line as Plotly takes it."""
    if isinstance(look.line, str):
        return "solid"
    return ",".join(f"{2.2 * length:.4g}px" for length in look.line[1])


def seed_switches(seeds: Sequence[int], mean: bool = False) -> Switches:
    """One for each seed, and one for the means."""
    found = {str(seed): (f"seed {seed}", "") for seed in seeds}
    return {"seed": found | ({MEAN: (MEAN, "")} if mean else {})}


def plain(text: str) -> str:
    """A label of the static figures without TeX."""
    for tex, word in TEX.items():
        text = text.replace(tex, word)
    return text.replace("$", "").replace("_", "")
