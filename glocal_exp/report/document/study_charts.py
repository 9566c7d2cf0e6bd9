"""Charts of studies: estimates beside the truth, the theorem's bound, the regret of schedules."""

from collections.abc import Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from glocal_exp.report import study_rows, style
from glocal_exp.report.document import charts
from glocal_exp.report.document.source import Source
from glocal_exp.report.estimators import estimators
from glocal_exp.report.fidelity import points as study_points
from glocal_exp.report.fidelity import scores
from glocal_exp.report.figures.linear_systems import DRAWN, MEASURED, SIDES
from glocal_exp.report.figures.schedule_regret import colour_of
from glocal_exp.report.objects import entries
from glocal_exp.report.tables.regret import logarithms, summarize


def fidelity(source: Source, *ids: str) -> Iterator[charts.Chart]:
    """A panel a setting, a row an estimator: cosines to the true hypergradient, point by point."""
    found, origin = study_points(source.context)
    compared, notes = estimators(source.context.configs, found, ids)
    scored = scores(found, compared)
    labels = list(dict.fromkeys(scored["estimator"]))
    intervals, seeds = sorted(set(scored["s"])), sorted(set(scored["seed"]))
    colours = {s: look["color"] for s, look in zip(intervals, cycle(style.MARKS), strict=False)}
    panels = []
    for setting, of in scored.groupby("setting"):
        traces = []
        for (s, seed), at in of.groupby(["s", "seed"]):  # pyright: ignore
            meta = {"interval": str(s), "seed": str(seed)}
            where = [labels.index(one) for one in at["estimator"]]
            shift = 0.18 * (intervals.index(s) - (len(intervals) - 1) / 2)
            rows = [row + shift for row in where]
            name = f"s = {s}, seed {seed}"
            traces.append(charts.points(at["cosine"], rows, colours[s], meta, name=name))
        x = {"title": {"text": "cosine to the truth"}, "range": [-1.08, 1.08]} | charts.ZERO
        panels.append(charts.row_panel(str(setting), traces, x, labels))
    title = "Direction of the estimates: 1 is right, below 0 is wrong"
    switches = {"interval": {str(s): (f"interval {s}", colours[s]) for s in intervals}}
    switches |= charts.seed_switches(seeds)
    yield charts.Chart("fidelity", title, panels, switches, " ".join([*notes, origin]), rows=True)


def bound(source: Source) -> Iterator[charts.Chart]:
    """A panel a system: both sides of Eq. 15 against tau, as in the figure `theorem` (c)."""
    settings = entries(source.context.configs / "figure" / "theorem.yaml")
    frame = study_rows.load(source.context, "theorem")
    at = {name: settings[name] for name in ("level", "horizon")}
    seen = study_rows.needed(frame, "theorem", DRAWN | MEASURED | at)
    looks = {name: SIDES[name] for name in ("left", "right", "proven")}
    switch = {name: (charts.plain(look["label"]), look["color"]) for name, look in looks.items()}
    panels = []
    for system, title in settings["systems"].items():
        of = study_rows.chosen(seen, {"system": system}).sort_values("interval")
        traces = [
            charts.line(of["interval"], of[name], look["color"], {"side": name}, bold=True)
            for name, look in looks.items()
        ]
        x = {"title": {"text": "tau"}, "type": "log", "tickvals": of["interval"].tolist()}
        y = {"type": "log", "dtick": 1, "exponentformat": "power"}
        panels.append(charts.Panel(title, traces, x, y))
    setting = f"noise {settings['level']}, T - s tau = {settings['horizon']}"
    title = f"Both sides of Eq. 15: medians, {setting}"
    yield charts.Chart("bound", title, panels, {"side": switch}, source=study_rows.provenance(seen))


def regret(source: Source, study: str) -> Iterator[charts.Chart]:
    """A panel a length and meta optimizer, a row a method: each spectrum and start, and all."""
    frame = study_rows.load(source.context, study)
    settings = entries(source.context.configs / "figure" / f"{study}.yaml")
    methods: dict[str, str] = settings["methods"]
    summary = summarize(frame)
    panels = []
    for length in sorted(set(frame["outer_steps"].astype(int))):
        for meta, title in settings["meta_optimizers"].items():
            where = {"outer_steps": length, "meta_optimizer": meta}
            seen: Any
            seen, means = (study_rows.chosen(f, where) for f in (frame, summary))
            seen = logarithms(seen).dropna(subset="log")
            traces = []
            for row, method in enumerate(methods):
                of = seen[seen["method"] == method]
                if of.empty:
                    continue
                cells = np.exp(of.groupby(["spectrum", "start"])["log"].mean())
                about = [f"spectrum {a}, start {b}" for a, b in cells.index]
                spread = [row + 0.3 * np.sin(2.4 * n) for n in range(len(cells))]
                draw = partial(
                    charts.points, colour=colour_of(method), meta={"method": method},
                    name=methods[method],
                )  # fmt: skip
                traces.append(draw(cells, spread, text=about, size=5, opacity=0.45))
                mean = means[means["method"] == method].iloc[0]
                text = f"mean of {int(mean['runs'])} runs, {int(mean['diverged'])} diverged"
                traces.append(draw([mean["regret"]], [row], text=text, size=11, symbol="diamond"))
            x = {"type": "log", "title": {"text": "final loss / best schedule's"}}
            x |= {"tickvals": [1, 2, 5, 10, 30, 100], "tickformat": "~g"}
            name = charts.plain(f"{title}, {length} outer steps")
            panels.append(charts.row_panel(name, traces, x, list(methods.values())))
    switch = {method: (label, colour_of(method)) for method, label in methods.items()}
    origin = study_rows.provenance(frame)
    title = "Regret on noisy quadratics: diamonds are geometric means of all runs"
    yield charts.Chart("schedule-regret", title, panels, {"method": switch}, origin, rows=True)
