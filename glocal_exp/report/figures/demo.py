"""What `make demo` shows: three hyperparameters tuned from a poor start, then 2,000 at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from glocal_exp.report import caption, study_rows, style
from glocal_exp.report.artifact import Artifact, Context, Drawing
from glocal_exp.report.axes import cost_axis
from glocal_exp.report.figures.learning_curves import ACCURACY, draw_column
from glocal_exp.report.selection import Selection, select_all
from glocal_exp.report.starts import plain_steps

HEIGHT = 2.4  # inches
NONE, TUNED = "none", "local"  # of the penalties
CONSTANT, HYPERGRADIENTS = "constant", "hypergradients, 2,000 penalties"
GUESS = float(np.log(2))  # the loss of no model


@dataclass(frozen=True)
class Demonstration(Artifact):
    """Test accuracy over training and cost of one experiment, test loss over time of another."""

    # images, penalties: the experiments; the second trains with none and local
    images: str
    penalties: str
    methods: Sequence[str]  # of the first
    study: str  # the search in as much time as local takes in the second; drawn if it is stored

    def draw(self, context: Context) -> Drawing:
        first, lacking = select_all(context, [self.images], self.methods)
        second, also = select_all(context, [self.penalties], (NONE, TUNED))
        images, penalties = first[self.images], second[self.penalties]
        trials = study_rows.load_study(context.studies, self.study)
        in_time = study_rows.chosen(trials, {"limit": seconds(penalties)})
        losses = _losses(penalties, in_time)
        looks = style.method_styles(images.methods)
        figure, panels = style.panels(1, 3, HEIGHT)
        draw_column(panels[0, 0], images, ACCURACY, looks)
        _draw_costs(panels[0, 1], images, looks)
        _draw_losses(panels[0, 2], losses)
        style.method_legend(figure, looks, images.diverged)
        sources = caption.paragraphs([images, penalties], context)
        count = int(penalties.runs[0].stored.value("problem.words"))
        found = sentences(images, losses, seconds(penalties), count)
        return Drawing(figure, f"{found}\n\n{self.caption(*sources)}", lacking + also)


def seconds(penalties: Selection) -> float:
    """The time that hypergradients take, a mean over the seeds, in tenths of a second."""
    return round(float(np.mean([run.total("seconds") for run in penalties.of(TUNED)])), 1)


def sentences(
    images: Selection, losses: Mapping[str, Sequence[float]], seconds: float, count: int
) -> str:
    """What came out, whatever it is: means and standard deviations over the seeds."""
    start, costs = images.runs[0].stored.value("task.init.learning_rate"), _costs(images)
    ends = {method: _spread([*images.finals(method).values()], 1) for method in images.methods}
    constant = ends.pop(NONE, "nothing yet")
    learned = [f"{end} by {name} ({costs[name]:.1f} x the work)" for name, end in ends.items()]
    found = {name: _spread(values, 3) for name, values in losses.items()}
    untuned, tuned = found.pop(CONSTANT), found.pop(HYPERGRADIENTS)
    searched = _listed([f"{end} by {name}" for name, end in found.items()])
    beside = f"; the same time brings it to {searched}" if searched else ""
    return (
        f"Learning rate, momentum and weight decay, learned from a learning rate of {start:g} on, "
        f"bring the test accuracy after {images.steps} steps from {constant} % to "
        f"{_listed(learned) or 'nothing yet'}.{_alike(images)} {count:,} penalties of a logistic "
        f"regression, learned in {seconds:g} s, bring its test loss from {untuned} to "
        f"{tuned}{beside or '; TPE has not been run beside them, which needs optuna'}. "
        "(Work is counted in steps of training; mean ± standard deviation over the seeds "
        f"{_listed([str(s) for s in images.seeds])}.)"
    )


def _alike(images: Selection) -> str:
    """A sentence on methods whose hyperparameters took the same way, under a mean of signs."""
    ways: dict[bytes, list[str]] = {}
    for method in images.methods:
        runs = images.of(method)
        moved = [run.stored.metrics().filter(like="hyperparameter/").to_numpy() for run in runs]
        choices = [run.stored.manifest.get("choices") or {} for run in runs]
        if method != NONE and {one.get("meta_optimizer") for one in choices} == {"mean_sign"}:
            ways.setdefault(b"".join(one.tobytes() for one in moved), []).append(method)
    same = [_listed(names) for names in ways.values() if len(names) > 1]
    why = "their hypergradients have the same signs, and the meta optimizer looks at no more"
    return "".join(f" ({names} end alike: {why}.)" for names in same)


def _losses(penalties: Selection, searches: pd.DataFrame) -> dict[str, list[float]]:
    """By kind, the test loss of each seed."""
    ends = {method: [r.last("test_loss") for r in penalties.of(method)] for method in (NONE, TUNED)}
    found = {CONSTANT: ends[NONE]}
    for count, trials in searches.groupby("penalties") if len(searches) else ():
        name = f"TPE, {count:,} penalt{'y' if count == 1 else 'ies'}"
        found[name] = [float(of["chosen_test_loss"].iloc[-1]) for _, of in trials.groupby("seed")]
    return found | {HYPERGRADIENTS: ends[TUNED]}


def _spread(values: Sequence[float], digits: int) -> str:
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}" if len(values) else "nothing yet"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _costs(images: Selection) -> dict[str, float]:
    """By method, plain trainings that a run costs; seeds cost the same."""
    first = {method: images.of(method)[0] for method in images.methods}
    return {method: plain_steps(run) / run.steps for method, run in first.items()}


def _draw_costs(axes: Axes, images: Selection, looks: Mapping[str, style.MethodStyle]) -> None:
    for method, cost in _costs(images).items():
        look, ends = looks[method], [*images.finals(method).values()]
        marker = "_" if method == NONE else look.marker
        mark: dict[str, Any] = {"color": look.colour, "marker": marker}
        axes.plot([cost] * len(ends), ends, **mark, markersize=3, linewidth=0.8)
        axes.plot(cost, np.mean(ends), **mark, markersize=7)
    cost_axis(axes, max(_costs(images).values()))
    axes.set_ylabel("final test accuracy (%)")
    axes.margins(0.12)


def _draw_losses(axes: Axes, losses: Mapping[str, Sequence[float]]) -> None:
    """A row a kind, a point a seed and a bar at their mean; what no axis holds is a number."""
    axes.axvline(GUESS, color="#888888", linewidth=0.6)
    for row, (name, values) in enumerate(losses.items()):
        kind = style.STYLES[TUNED if name == HYPERGRADIENTS else NONE]
        mean = float(np.mean(values))
        if mean > GUESS:
            axes.annotate(
                f"{mean:.2f}", (GUESS, row), (-22, 0), textcoords="offset points", va="center",
                ha="right", arrowprops={"arrowstyle": "->", "linewidth": 0.8},
            )  # fmt: skip
            continue
        axes.plot(values, [row] * len(values), kind.marker, color=kind.colour, markersize=3)
        axes.plot(mean, row, "|", color=kind.colour, markersize=14, markeredgewidth=2)
    axes.set_yticks(range(len(losses)), [name.replace(", ", ",\n") for name in losses])
    axes.set(ylim=(len(losses) - 0.5, -0.5), xlabel="test loss of logistic regression")
    axes.set_xlim(right=GUESS * 1.01)
    axes.grid(visible=False, axis="y")
