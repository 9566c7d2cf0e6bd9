"""Charts of training runs: their courses, where they end, and how far apart."""

from collections.abc import Iterator, Sequence
from functools import partial
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import caption, style
from glocal_exp.report.axes import hyperparameter_axis
from glocal_exp.report.document import charts
from glocal_exp.report.document.source import ACCURACIES, Source
from glocal_exp.report.figures.learning_curves import EARLY, mean_curve
from glocal_exp.report.selection import Selection

LABEL = 27  # characters to a line of a row's label


def curves(source: Source) -> Iterator[charts.Chart]:
    """Every experiment: accuracy and hyperparameters over training, each seed and their mean."""
    for name, selection in source.compared.items():
        if selection.steps > max(run.stored.column("interval") or 0 for run in selection.runs):
            tuned = [f"hyperparameter/{one}" for one in selection.hyperparameters]
            title = f"{source.labels[name]}, T = {selection.steps:,}"
            about = caption.describe(selection, source.context)
            yield courses(f"curves-{name}", title, selection, ["test_accuracy", *tuned], about)


def courses(
    name: str, title: str, selection: Selection, columns: Sequence[str], about: str
) -> charts.Chart:
    """A panel a column of the records over training: each seed, and the mean of several."""
    panels = [_course(selection, column) for column in columns]
    seeds = charts.seed_switches(selection.seeds, mean=len(selection.seeds) > 1)
    return charts.Chart(name, title, panels, _by_method(selection.methods) | seeds, source=about)


def _course(selection: Selection, column: str) -> charts.Panel:
    styles, traces, factor = style.method_styles(selection.methods), [], 1.0
    values = [value for run in selection.runs for value in run.curve(column)]
    axis = hyperparameter_axis(column.removeprefix("hyperparameter/"), values)
    title, y = charts.plain(axis.label), {"type": "linear"}
    if column == "test_accuracy":
        title, factor = "test accuracy (%)", 100.0
        y |= {"range": _accuracies(selection)}
    elif axis.scale == "log":
        y = {"type": "log", "dtick": "D2", "tickformat": "~g"}
    for method in selection.methods:
        runs = [run for run in selection.of(method) if len(run.curve(column))]
        look, lines = styles[method], [factor * run.curve(column) for run in runs]
        draw = partial(charts.line, colour=look.colour, dash=charts.dashes(look))
        for run, curve in zip(runs, lines, strict=True):
            meta = {"method": method, "seed": str(run.seed)}
            traces.append(draw(curve.index, curve, meta=meta, lost=run.diverged))
        if len(lines) > 1:
            mean, meta = mean_curve(lines), {"method": method, "seed": charts.MEAN}
            traces.append(draw(mean.index, mean, meta=meta, bold=True))
    return charts.Panel(title, traces, {"title": {"text": "training step"}}, y)


def ends(
    name: str, title: str, frame: pd.DataFrame, columns: Sequence[str], against: str, about: str
) -> charts.Chart:
    """A panel a column, whose last values are drawn over a setting or another column's."""
    looks, panels = style.method_styles(frame["label"]), []
    axis = hyperparameter_axis(against.rpartition(".")[2], frame[against].tolist())
    scale = "log" if axis.scale == "log" else "linear"
    x = {"title": {"text": charts.plain(axis.label)}, "type": scale}
    for column in columns:
        traces = []
        for row in frame.dropna().to_dict("records"):
            kind, seed, value = row["label"], str(row["seed"]), row[column]
            traces.append(charts.points(
                [row[against]], [value], looks[kind].colour, {"method": kind, "seed": seed},
                name=f"{kind}, seed {seed}", text=f": {value:.4g} at",
            ))  # fmt: skip
        panels.append(charts.Panel(charts.plain(column.removeprefix("hyperparameter/")), traces, x))
    switches = _by_method(list(looks)) | charts.seed_switches(sorted(set(frame["seed"])))
    return charts.Chart(name, title, panels, switches, source=about)


def _accuracies(selection: Selection) -> list[float]:
    """From where the static figure begins: the start of training lies below the axis."""
    curves = [100 * run.curve("test_accuracy") for run in selection.runs]
    late = np.concatenate([curve[curve.index >= EARLY * selection.steps] for curve in curves])
    low, high = (float(late.min()), float(late.max())) if late.size else (0.0, 100.0)
    return [round(low - 0.05 * (high - low) - 0.1, 2), round(high + 0.05 * (high - low) + 0.1, 2)]


def finals(source: Source) -> Iterator[charts.Chart]:
    """A panel an experiment, a row a method: every seed, and the mean of several."""
    panels, methods, seeds = [], [], []
    for name, selection in source.compared.items():
        styles = style.method_styles(selection.methods)
        traces = []
        for row, method in enumerate(selection.methods):
            ends, colour = selection.finals(method), styles[method].colour
            for place, (seed, value) in enumerate(ends.items()):
                meta = {"method": method, "seed": str(seed)}
                shift = 0.14 * (place - (len(ends) - 1) / 2)
                about = f"{method}, seed {seed}"
                traces.append(charts.points([value], [row + shift], colour, meta, name=about))
            if len(ends) > 1:
                mean, about = float(np.mean(list(ends.values()))), f"of {len(ends)} seeds"
                meta = {"method": method, "seed": charts.MEAN}
                traces.append(charts.points(
                    [mean], [row], colour, meta, name=f"{method}, mean", text=about, size=18,
                    symbol="line-ns-open", line={"width": 2.5},
                ))  # fmt: skip
        counts = [
            f"{charts.plain(look.label)} (n = {len(selection.finals(method))})"
            for method, look in styles.items()
        ]
        title = f"{source.labels[name]}, T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{selection.steps:,}"
        x = {"title": {"text": "final test accuracy (%)"}}
        panels.append(charts.row_panel(title, traces, x, counts))
        methods += selection.methods
        seeds += selection.seeds
    by_seed = charts.seed_switches(sorted(set(seeds)), mean=True)
    switches = _by_method(style.method_order(methods)) | by_seed
    title = "Final test accuracy by method"
    yield charts.Chart("final-accuracy", title, panels, switches, rows=True)


def differences(source: Source) -> Iterator[charts.Chart]:
    """A panel a method: glocal minus it in points, with the interval over seeds."""
    table: Any = source.lookup.frame(ACCURACIES).dropna(subset=["difference"])
    panels, notice, longer = [], "Paired differences with 95 % t intervals", ""
    looks = style.method_styles(table["method"])
    for method in sorted(looks, key=lambda name: name != "local"):  # which the paper is about
        of, colour = table[table["method"] == method], looks[method].colour
        half = (of["difference_high"] - of["difference"]).fillna(0).tolist()
        seeds = [f"n = {int(n)}" for n in of["difference_seeds"]]
        trace = charts.points(
            of["difference"], range(len(of)), colour, {"method": method},
            name=f"glocal minus {method}", text=seeds, size=9,
            error={"type": "data", "array": half, "thickness": 1.5},
        )  # fmt: skip
        named = [
            "<br>".join([*wrap(source.labels[e], LABEL), f"T = {t:,}, {n}"])
            for e, t, n in zip(of["experiment"], of["steps"], seeds, strict=True)
        ]
        x: dict[str, Any] = charts.ZERO | {"title": {"text": "points"}, "nticks": 6, "tickangle": 0}
        ends = sorted(abs(of["difference"]) + half)
        if len(ends) > 2 and ends[-1] > 2 * ends[-2]:
            reach = 1.2 * max(ends[-2], *abs(of["difference"]))
            x["range"] = [-reach, reach]
            longer = "; the longest is cut"
        title, lines = charts.plain(looks[method].label), max(one.count("<br>") for one in named)
        panels.append(charts.row_panel(f"glocal minus {title}", [trace], x, named, lines))
    yield charts.Chart("differences", notice + longer, panels, {}, rows=True)


def _by_method(methods: list[str]) -> charts.Switches:
    looks = style.method_styles(methods).items()
    return {"method": {name: (charts.plain(look.label), look.colour) for name, look in looks}}
