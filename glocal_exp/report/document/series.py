"""What the interactive figures show: the data that the static ones select, as charts."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from glocal_exp.report import caption, study_rows, style
from glocal_exp.report.axes import hyperparameter_axis
from glocal_exp.report.document.charts import INK, MEAN, Chart, Panel, dashes, line, points, rows
from glocal_exp.report.document.source import ACCURACIES, Source
from glocal_exp.report.estimators import estimators
from glocal_exp.report.fidelity_points import points as study_points
from glocal_exp.report.fidelity_scores import scores
from glocal_exp.report.figures.fidelity import MARKERS
from glocal_exp.report.figures.learning_curves import EARLY, mean_curve
from glocal_exp.report.figures.linear_systems import SIDES, TheoremFigure
from glocal_exp.report.figures.schedule_regret import colour_of
from glocal_exp.report.objects import entries
from glocal_exp.report.selection import Selection
from glocal_exp.report.tables.regret import DIVERGED, summarize

Switch = dict[str, tuple[str, str]]
ROW = 26  # pixels to a row of points
AROUND = 60  # and to what is above and below them
TEX = {
    r"$\beta_1$": "beta 1", r"$\beta_2$": "beta 2", "$h_t$": "h",
    r"$|h_T-\hat h_\infty|$": "the error",
}  # fmt: skip


def curves(source: Source) -> Iterator[Chart]:
    """Every experiment: accuracy and hyperparameters over training, each seed and their mean."""
    for name, selection in source.experiments.items():
        if selection.steps > max(run.stored.column("interval") or 0 for run in selection.runs):
            yield _curves(name, source, selection)


def _curves(name: str, source: Source, selection: Selection) -> Chart:
    styles = style.method_styles(selection.methods)
    columns = {"test_accuracy": ("test accuracy (%)", "linear", 100.0)}
    for one in selection.hyperparameters:
        column = f"hyperparameter/{one}"
        values = np.concatenate([run.curve(column).to_numpy() for run in selection.runs])
        axis = hyperparameter_axis(one, values.tolist())
        scale = "log" if axis.scale == "log" else "linear"
        columns[column] = (_plain(axis.label), scale, 1.0)
    panels = []
    for column, (title, scale, factor) in columns.items():
        traces = []
        for method in selection.methods:
            look, runs = styles[method], selection.of(method)
            lines = [factor * run.curve(column) for run in runs]
            for run, curve in zip(runs, lines, strict=True):
                look_of_seed = {"dash": dashes(look), "lost": run.diverged}
                meta = {"method": method, "seed": str(run.seed)}
                traces.append(line(curve.index, curve, look.colour, meta, **look_of_seed))
            if len(lines) > 1:
                mean = mean_curve(lines)
                meta = {"method": method, "seed": MEAN}
                traces.append(
                    line(mean.index, mean, look.colour, meta, dash=dashes(look), bold=True)
                )
        y: dict[str, Any] = {"type": scale}
        if column == "test_accuracy":
            y |= {"range": _accuracies(selection)}
        elif scale == "log":
            y |= {"dtick": "D2", "tickformat": "~g"}
        panels.append(Panel(title, traces, {"title": {"text": "training step"}}, y))
    return Chart(
        f"curves-{name}",
        f"{source.labels[name]}, T = {selection.steps:,}",
        panels,
        _by_method(selection.methods) | _by_seed(selection.seeds, mean=len(selection.seeds) > 1),
        source=caption.describe(selection, source.context),
    )


def _accuracies(selection: Selection) -> list[float]:
    """From where the static figure begins: the start of training lies below the axis."""
    curves = [100 * run.curve("test_accuracy") for run in selection.runs]
    late = np.concatenate([curve[curve.index >= EARLY * selection.steps] for curve in curves])
    low, high = (float(late.min()), float(late.max())) if late.size else (0.0, 100.0)
    return [round(low - 0.05 * (high - low) - 0.1, 2), round(high + 0.05 * (high - low) + 0.1, 2)]


def finals(source: Source) -> Iterator[Chart]:
    """A panel an experiment, a row a method: every seed, and the mean of several."""
    panels, methods, seeds = [], [], []
    for name, selection in source.experiments.items():
        styles = style.method_styles(selection.methods)
        traces = []
        for row, method in enumerate(selection.methods):
            ends, colour = selection.finals(method), styles[method].colour
            for place, (seed, value) in enumerate(ends.items()):
                meta = {"method": method, "seed": str(seed)}
                shift = 0.14 * (place - (len(ends) - 1) / 2)
                traces.append(
                    points([value], [row + shift], colour, meta, name=f"{method}, seed {seed}")
                )
            if len(ends) > 1:
                mean, about = float(np.mean(list(ends.values()))), f"of {len(ends)} seeds"
                meta = {"method": method, "seed": MEAN}
                traces.append(
                    points(
                        [mean], [row], colour, meta, name=f"{method}, mean", text=about,
                        size=18, symbol="line-ns-open", line={"width": 2.5},
                    )
                )  # fmt: skip
        counts = [f"{_label(m)} (n = {len(selection.finals(m))})" for m in selection.methods]
        title = f"{source.labels[name]}, T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{selection.steps:,}"
        x = {"title": {"text": "final test accuracy (%)"}}
        height = AROUND + ROW * len(counts)
        panels.append(Panel(title, traces, x, rows(counts), height))
        methods += selection.methods
        seeds += selection.seeds
    switches = _by_method(style.method_order(methods)) | _by_seed(sorted(set(seeds)), mean=True)
    yield Chart("final-accuracy", "Final test accuracy by method", panels, switches, rows=True)


def differences(source: Source) -> Iterator[Chart]:
    """A panel a method: glocal minus it in points, with the interval over seeds."""
    table: Any = source.lookup.frame(ACCURACIES).dropna(subset=["difference"])
    panels, notice = [], "Paired differences with 95 % t intervals"
    looks = style.method_styles(table["method"])
    for method in sorted(looks, key=lambda name: name != "local"):  # which the paper is about
        of, colour = table[table["method"] == method], looks[method].colour
        half = (of["difference_high"] - of["difference"]).fillna(0).tolist()
        seeds = [f"n = {int(n)}" for n in of["difference_seeds"]]
        trace = points(
            of["difference"], range(len(of)), colour, {"method": method},
            name=f"glocal minus {method}", text=seeds, size=9,
            error={"type": "data", "array": half, "thickness": 1.5},
        )  # fmt: skip
        named = [
            f"{source.labels[e].replace(', ', '<br>', 1)}<br>T = {t:,}, {n}"
            for e, t, n in zip(of["experiment"], of["steps"], seeds, strict=True)
        ]
        x: dict[str, Any] = {"title": {"text": "points"}, "zeroline": True, "zerolinecolor": INK}
        x |= {"nticks": 6, "tickangle": 0}
        ends = sorted(abs(of["difference"]) + half)
        if len(ends) > 2 and ends[-1] > 2 * ends[-2]:
            x["range"] = [-1.2 * ends[-2], 1.2 * ends[-2]]
            notice = (
                "Paired differences with 95 % t intervals; a double click shows the longest whole"
            )
        height = AROUND + 2 * ROW * len(of)
        panels.append(Panel(f"glocal minus {_label(method)}", [trace], x, rows(named), height))
    yield Chart("differences", notice, panels, {}, rows=True)


def fidelity(source: Source, *ids: str) -> Iterator[Chart]:
    """A panel a setting, a row an estimator: cosines to the true hypergradient, point by point."""
    found, origin = study_points(source.context)
    compared, notes = estimators(source.context.configs, found, ids)
    scored = scores(found, compared)
    labels = list(dict.fromkeys(scored["estimator"]))
    intervals, seeds = sorted(set(scored["s"])), sorted(set(scored["seed"]))
    colours = {s: MARKERS[place % len(MARKERS)][1] for place, s in enumerate(intervals)}
    panels = []
    for setting, of in scored.groupby("setting"):
        traces = []
        for (s, seed), at in of.groupby(["s", "seed"]):  # pyright: ignore
            meta = {"interval": str(s), "seed": str(seed)}
            where = [labels.index(one) for one in at["estimator"]]
            shift = 0.18 * (intervals.index(s) - (len(intervals) - 1) / 2)
            traces.append(
                points(
                    at["cosine"], [row + shift for row in where], colours[s], meta,
                    name=f"s = {s}, seed {seed}",
                )
            )  # fmt: skip
        x = {"title": {"text": "cosine to the truth"}, "range": [-1.08, 1.08]}
        x |= {"zeroline": True, "zerolinecolor": INK}
        height = AROUND + ROW * len(labels)
        panels.append(Panel(str(setting), traces, x, rows(labels), height))
    yield Chart(
        "fidelity",
        "Direction of the estimates: 1 is right, below 0 is wrong",
        panels,
        {"interval": {str(s): (f"interval {s}", colours[s]) for s in intervals}} | _by_seed(seeds),
        source=" ".join([*notes, origin]),
        rows=True,
    )


def bound(source: Source) -> Iterator[Chart]:
    """A panel a system: both sides of Eq. 15 against tau, as in the figure `theorem` (c)."""
    settings = entries(source.context.configs / "figure" / "theorem.yaml")
    frame = study_rows.load(source.context, "theorem")
    where = {"unit_tolerance": TheoremFigure.unit_tolerance, "noise": TheoremFigure.noise}
    where |= {"amplitudes": TheoremFigure.amplitudes, "level": settings["level"]}
    seen = study_rows.chosen(frame, where | {"horizon": settings["horizon"]})
    looks = {name: SIDES[name] for name in ("left", "right", "proven")}
    switch = {name: (_plain(look["label"]), look["color"]) for name, look in looks.items()}
    panels = []
    for system, title in settings["systems"].items():
        of = study_rows.chosen(seen, {"system": system}).sort_values("interval")
        traces = [
            line(of["interval"], of[name], look["color"], {"side": name}, bold=True)
            for name, look in looks.items()
        ]
        x = {"title": {"text": "tau"}, "type": "log", "tickvals": of["interval"].tolist()}
        y = {"type": "log", "dtick": 1, "exponentformat": "power"}
        panels.append(Panel(title, traces, x, y))
    setting = f"noise {settings['level']}, T - s tau = {settings['horizon']}"
    title = f"Both sides of Eq. 15: medians, {setting}"
    yield Chart("bound", title, panels, {"side": switch}, source=study_rows.provenance(seen))


def regret(source: Source, study: str) -> Iterator[Chart]:
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
            seen = seen[np.isfinite(seen["regret"]) & (seen["regret"] < DIVERGED)]
            traces = []
            for row, method in enumerate(methods):
                of = seen[seen["method"] == method]
                if of.empty:
                    continue
                logs = of.assign(regret=np.log(of["regret"].astype(float)))
                cells = np.exp(logs.groupby(["spectrum", "start"])["regret"].mean())
                about = [f"spectrum {a}, start {b}" for a, b in cells.index]
                spread = [row + 0.3 * np.sin(2.4 * n) for n in range(len(cells))]
                one, colour = {"method": method}, colour_of(method)
                traces.append(
                    points(
                        cells, spread, colour, one, name=methods[method], text=about, size=5,
                        opacity=0.45,
                    )
                )  # fmt: skip
                mean = means[means["method"] == method].iloc[0]
                text = f"mean of {int(mean['runs'])} runs, {int(mean['diverged'])} diverged"
                traces.append(
                    points(
                        [mean["regret"]], [row], colour, one, name=methods[method], text=text,
                        size=11, symbol="diamond",
                    )
                )  # fmt: skip
            x = {"type": "log", "title": {"text": "final loss / best schedule's"}}
            x |= {"tickvals": [1, 2, 5, 10, 30, 100], "tickformat": "~g"}
            height = AROUND + ROW * len(methods)
            name = _plain(f"{title}, {length} outer steps")
            panels.append(Panel(name, traces, x, rows(list(methods.values())), height))
    switch = {method: (label, colour_of(method)) for method, label in methods.items()}
    origin = study_rows.provenance(frame)
    title = "Regret on noisy quadratics: diamonds are geometric means of all runs"
    yield Chart("schedule-regret", title, panels, {"method": switch}, origin, rows=True)


def _by_method(methods: list[str]) -> dict[str, Switch]:
    looks = style.method_styles(methods)
    return {"method": {name: (_label(name), looks[name].colour) for name in looks}}


def _by_seed(seeds: list[int], mean: bool = False) -> dict[str, Switch]:
    found: Switch = {str(seed): (f"seed {seed}", "") for seed in seeds}
    return {"seed": found | ({MEAN: (MEAN, "")} if mean else {})}


def _plain(text: str) -> str:
    """Without TeX."""
    for tex, plain in TEX.items():
        text = text.replace(tex, plain)
    return text.replace("$", "").replace("_", "")


def _label(method: str) -> str:
    return _plain(style.method_styles([method])[method].label)
