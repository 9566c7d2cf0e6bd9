"""Runs from several starts under several meta optimizers: what a method costs, and gains."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.estimators import load_estimator
from glocal_exp.report.runs import Run, readable
from glocal_exp.report.selection import Selection, select, together
from glocal_exp.report.truth_points import points, scores
from glocal_exp.stats import mean_interval
from glocal_exp.store.files import read_manifest
from glocal_exp.store.studies import load_study, study_config

START = "task.init.learning_rate"
NONE = "none"  # nothing moves, whatever the meta optimizer
SWEPT = 3.3
"""Plain steps that one with a sweep back costs (LeNet on one core, `results/benchmarks/LOG.md`)."""
TANGENT = 2.1  # likewise each tangent of a step, beside the step itself
STEPS = ("plain", "tangent", "reverse")
SEARCH = "search"  # the study
KIND = ["meta_optimizer", "method", "trials"]  # the last of searches alone
COLUMNS = [*KIND, "start", "seed", "gain", "cost", "reach", "never", "seconds"]


@dataclass(frozen=True)
class Group:
    """What is compared under one meta optimizer: every method of which there are such runs."""

    title: str  # what it is called
    where: Mapping[str, Any]  # conditions as of `store.find_runs`
    # tasks of optimizers with nothing to learn; they stand at every start
    tuning_free: Sequence[str] = ()
    trials: Sequence[int] = ()  # numbers of trainings after which searches are looked at


@dataclass(frozen=True)
class Cell:
    """What is stored from one initial learning rate under one meta optimizer."""

    meta_optimizer: str  # the group's id; constant hyperparameters are in every one's cells
    start: float  # initial learning rate
    selection: Selection


def cells(context: Context, experiment: str, groups: Mapping[str, Group]) -> list[Cell]:
    """By meta optimizer in the order given, then by start; without groups of which none is stored.

    All are of the length that most runs have.

    Raises:
        MissingRuns: no group is stored.
    """
    stored = readable(context.runs, experiment)
    starts = sorted(map(float, {run.value(START) for run in stored} - {None}))
    lengths = Counter(run.column("steps") for run in stored)
    alike = {"steps": max(lengths, key=lambda steps: (lengths[steps], steps), default=0)}

    def chosen(**where: Any) -> Selection | None:
        return select(context.runs, experiment, (), alike | where)

    found = []
    for meta, group in groups.items():
        free = chosen(**{"choices.task": list(group.tuning_free)})
        for start in starts:
            moving = chosen(**{START: start, **group.where})
            runs = tuple(run for run in moving.runs if run.method != NONE) if moving else ()
            own = [replace(moving, runs=runs)] if moving and runs else []
            own += [free] if free else []
            constant = chosen(**{START: start, "method": NONE})
            if own:
                found.append(Cell(meta, start, together([*own, constant] if constant else own)))
    if not found:
        raise MissingRuns(experiment)
    return found


def sources(found: Sequence[Cell], context: Context) -> list[str]:
    """A paragraph of a caption for each meta optimizer, about the first of its cells."""
    first = {cell.meta_optimizer: cell.selection for cell in reversed(found)}
    return [caption.describe(one, context) for one in reversed(first.values())]


def plain_steps(run: Run) -> float:
    """A run's cost in plain training steps; a validation gradient costs what its images do."""
    tangents = sum(name.startswith("hypergradient/") for name in run.metrics.columns)
    images = run.last("validation_gradients") * (run.gradient_images or 0)
    pushed = (1 + TANGENT * tangents) * run.last("tangent_steps")
    swept = SWEPT * run.last("reverse_steps")
    return run.last("plain_steps") + pushed + swept + images / int(run.stored.value("batch_size"))


def reached(run: Run, level: float) -> float:
    """Trainings, in parts, until test accuracy has come to a level; NaN if it does not.

    Steps of playouts and of trainings that start again count.
    """
    there: Any = run.curve("test_accuracy")
    taken: Any = sum(run.curve(f"{kind}_steps").reindex(there.index) for kind in STEPS)
    return float((taken[there >= level] / run.steps).min())


def gains(
    context: Context, experiment: str, groups: Mapping[str, Group], starts: Sequence[float]
) -> tuple[pd.DataFrame, list[Cell]]:
    """A row a meta optimizer and method, over the seeds that it and constants have of every start.

    `cost` and `seconds` are times plain training's; `gain` is in percentage points, a mean over the
    starts for each seed and then over seeds, `low` and `high` its 95 % t interval; `reach` is the
    median number of trainings to come to where constant hyperparameters end (1 where it does not),
    and `never` how many do not. `front` says whether no other costs less and gains as much. A
    search has a row for each number of trials.

    Raises:
        MissingRuns: no method has a seed from every start.
    """
    found = cells(context, experiment, groups)
    found = [cell for cell in found if any(np.isclose(cell.start, start) for start in starts)]
    rows: Any = pd.DataFrame([row for cell in found for row in _of_cell(cell)], columns=COLUMNS)
    of_seeds = rows.groupby(["meta_optimizer", "method", "seed"])["start"]
    compared = rows[of_seeds.transform("nunique") == len(starts)].to_dict("records")
    if not compared:
        raise MissingRuns(experiment)
    setting, constants = (experiment, found[0].selection.steps), _constants(found, len(starts))
    for meta, group in groups.items():
        of_searches = searched(context, setting, group.trials, constants)
        compared += [{"meta_optimizer": meta, **row} for row in of_searches]
    rows, summary = pd.DataFrame(compared, columns=COLUMNS), []
    for (meta, method, _), own in rows.groupby(KIND, sort=False, dropna=False):
        mean = mean_interval(own.groupby("seed")["gain"].mean())
        summary.append({
            "meta_optimizer": meta, "method": method, "cost": own["cost"].mean(),
            "seconds": own["seconds"].median(), "gain": mean.value, "low": mean.low,
            "high": mean.high, "reach": own["reach"].median(),
            "never": own["never"].sum(min_count=1), "runs": len(own),
            "starts": own["start"].nunique(), "seeds": own["seed"].nunique(),
        })  # fmt: skip
    frame = pd.DataFrame(summary)
    metas, cost, gain = (frame[name] for name in ("meta_optimizer", "cost", "gain"))
    frame["front"] = [
        not ((metas == meta) & (cost <= own_cost) & (gain > own_gain)).any()
        for meta, own_cost, own_gain in zip(metas, cost, gain, strict=True)
    ]
    return frame, found


def _constants(found: Sequence[Cell], starts: int) -> pd.Series:
    """Percent by seed that constants end with, a mean over the starts, of seeds that have all."""
    ends = pd.DataFrame({cell.start: cell.selection.finals(NONE) for cell in found})
    means: Any = ends.dropna().mean(axis=1)
    return means if len(ends.columns) == starts else means.iloc[:0]


def searched(
    context: Context, setting: tuple[str, int], trials: Sequence[int], constant: pd.Series
) -> list[dict[str, Any]]:
    """A row a search over constants and number of trials, whose seed is one of those of constants.

    What a search comes to is the test accuracy of its best training by validation. It has no start,
    and no times: constants' may be of another machine.

    Args:
        setting: experiment and steps that the searches' trainings have.
        trials: after how many trainings.
        constant: percent by seed that constants end with.
    """
    frame: Any = load_study(context.studies, SEARCH) if trials else pd.DataFrame()
    rows = []
    for folder, trained in frame.groupby("folder") if len(frame) else ():
        config, seed = study_config(folder), int(trained["seed"].iloc[0])
        if (config.experiment, config.steps) != setting or seed not in constant:
            continue
        choices = (read_manifest(folder) or {}).get("choices") or {}
        kind = choices.get(f"{SEARCH}@study", SEARCH)
        for count in trials:
            of = trained[trained["trial"] < count]
            if len(of) == count:
                gain = 100 * of["chosen_test_accuracy"].iloc[-1] - constant[seed]
                about = {"method": kind, "trials": count, "cost": count}
                rows.append(about | {"seed": seed, "gain": gain})
    return sorted(rows, key=lambda row: (row["method"], row["trials"]))


def _of_cell(cell: Cell) -> list[dict[str, Any]]:
    constant = {run.seed: run for run in cell.selection.of(NONE) if run.finished}
    rows = []
    for run in cell.selection.runs:
        base = constant.get(run.seed)
        if run.method == NONE or base is None or not run.finished:
            continue
        end = base.last("test_accuracy")
        reach = reached(run, end)
        rows.append({
            "meta_optimizer": cell.meta_optimizer, "start": cell.start, "method": run.method,
            "seed": run.seed, "gain": 100 * (run.last("test_accuracy") - end),
            "cost": plain_steps(run) / run.steps, "never": float(np.isnan(reach)),
            "reach": 1.0 if np.isnan(reach) else reach,
            "seconds": run.total("seconds") / base.total("seconds"),
        })  # fmt: skip
    return rows


def right_directions(context: Context, methods: Sequence[str], truth: str) -> pd.DataFrame:
    """By method, the share of points with the truth's sign, its median size, and of how many.

    Estimators are those whose files have the methods' names, and to which what is stored is enough.
    Empty where no truths are stored.
    """
    columns = ["method", "right", "ratio", "points"]
    rows = []
    with contextlib.suppress(MissingStudy):
        found, _ = points(context)
        for name in methods:
            if not (context.configs / f"estimator/{name}.yaml").exists():
                continue
            made = load_estimator(context.configs, name)
            if all(map(made.fits, found)):
                scored = scores(found, [made])
                own = scored[scored["truth"] == truth]
                rows.append((name, own["right"].mean(), own["ratio"].median(), len(own)))
    return pd.DataFrame(rows, columns=columns)
