"""`python scripts/replay.py`: does the present source still give the numbers that are stored?"""

import math
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.app.build import build
from glocal_exp.app.compose import jobs
from glocal_exp.app.main import entry_point
from glocal_exp.app.say import say
from glocal_exp.app.stop import Stop
from glocal_exp.app.study import prepared
from glocal_exp.errors import Parser, UserError, file_path
from glocal_exp.store import StoredRun, find_runs
from glocal_exp.store.load import current_source
from glocal_exp.store.manifest import REPOSITORY, git_state
from glocal_exp.store.seal import intact_manifest
from glocal_exp.store.status import REPLAYS, add_replays, stored_status
from glocal_exp.store.studies import study_directories, unit_arrays, unit_rows, whole_units
from glocal_exp.studies.lab import Measurement

RUNS = REPOSITORY / "results" / "runs"
TOLERANCES = {"loss": 1e-3, "accuracy": 2e-3, "hyperparameter": 1e-4, "hypergradient": 2e-2}
TOLERANCES |= {"study": 2e-2}
"""Largest differences, relative to the larger number; of accuracies absolute; of studies relative
to the largest number of a column. Over an interval of 100 steps rounding grows to about 1e-3 in an
estimate by DMD, and less in everything else."""
Differences = dict[str, float]
Sources = tuple[str, str]


def replay(arguments: Sequence[str], stop: Stop) -> int:
    """Replay one run, or study, for each pair of an older source and today's; 1 if any differs."""
    parser = Parser(
        "replay.py",
        description="Train the first intervals of stored runs, and measure the first units of "
        "stored studies, again that are stale only because the numeric source has changed, until "
        "one for each change agrees. Then results/replays.json says so from now on, and they count "
        "as current.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="?", default=RUNS, help="folder (results/runs)")
    add("--studies", type=Path, help="folder; that beside the runs if not given")
    add("--intervals", type=int, default=1, help="outer steps (%(default)s)")
    add("--units", type=int, default=3, help="units of a study (%(default)s)")
    add("--module", action="append", default=[], help="of your own, that runs name")
    add("--output", type=file_path, default=REPLAYS, help="file (results/replays.json)")
    options = parser.parse_args(arguments)
    if min(options.intervals, options.units) < 1:
        parser.error("--intervals and --units are at least 1")
    studies = options.studies or options.runs.parent / "studies"
    runs, of_studies = outdated(find_runs(options.runs)), outdated_studies(studies)
    if not runs and not of_studies:
        say(f"no complete run in {options.runs}, nor study beside, is stale by its source alone")
    agreed = [_one_agrees(sources, some, _of_run, options) for sources, some in runs]
    agreed += [_one_agrees(sources, some, _of_study, options) for sources, some in of_studies]
    return 0 if all(agreed) else 1


def _one_agrees(
    sources: Sources,
    stored: Sequence[Any],
    again: Callable[[Any, Namespace], tuple[dict[str, Any], Differences]],
    options: Namespace,
) -> bool:
    """Whether one of what is stored comes out the same, which is noted then.

    One is taken to be enough, since where training is sensitive rounding alone makes a difference
    in an interval; it says nothing about what only the others of that source compute.
    """
    for one in stored:
        what, largest = again(one, options)
        agrees = all(value <= TOLERANCES[kind] for kind, value in largest.items())
        text = ", ".join(f"{kind} {value:.1e}" for kind, value in largest.items())
        say(f"{'agrees' if agrees else 'differs'}: {next(iter(what.values()))}: {text}")
        if agrees:
            pair = {"stored": sources[0], "current": sources[1], "git": git_state(REPOSITORY)}
            add_replays([pair | what | {"differences": largest}], options.output)
            return True
    return False


def outdated(runs: Sequence[StoredRun]) -> list[tuple[Sources, list[StoredRun]]]:
    """By stored and present source hash, the runs that are stale for no other reason.

    One seed of each variant, then the others, and those first that train most calmly: at a small
    learning rate.
    """
    chosen: dict[Sources, list[StoredRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda r: (r.seed, r.value("task.init.learning_rate") or 0.0)):
        current = current_source(run.manifest)
        ended = run.manifest.get("status") == "complete"
        if run.status == "stale" and ended and current and "source_hash" in run.manifest:
            chosen[run.manifest["source_hash"], current].append(run)
    return list(chosen.items())


def outdated_studies(root: Path) -> list[tuple[Sources, list[Path]]]:
    """Likewise the whole studies that are of older source."""
    chosen: dict[Sources, list[Path]] = defaultdict(list)
    for folder in study_directories(root):
        manifest = intact_manifest(folder)
        current, ended = current_source(manifest), manifest.get("status") == "complete"
        if current and ended and stored_status(folder, source_hash=current) == "stale":
            chosen[str(manifest.get("source_hash")), current].append(folder)
    return list(chosen.items())


def _of_run(run: StoredRun, options: Namespace) -> tuple[dict[str, Any], Differences]:
    """The largest difference of each kind between a stored run and its first intervals now.

    That its data are not here is a `UserError`, or that its config names code of other modules.
    """
    overrides = [f"from={run.path}", f"seed={run.seed}", "seeds=null", "tracker=none"]
    (job,) = jobs(overrides, sweep=False, modules=options.module)
    experiment = build(job.config, job.choices)
    parts = experiment.splits(run.seed)
    if parts.info["fingerprint"] != run.column("fingerprint"):
        raise UserError(
            f"{run.path} was trained on other images than those of {parts.info['title']} here; "
            "give its data by data_dir (GLOCAL_DATA_DIR)."
        )
    stored = run.metrics().set_index("outer_step").to_dict("index")
    records = islice(experiment.loop({run.seed: parts}), 1 + options.intervals)
    each = [compare(record.row(), stored.get(record.outer_step, {})) for record in records]
    about = {"run": run.path.relative_to(options.runs).as_posix(), "intervals": options.intervals}
    return about, pd.DataFrame(each).max().to_dict()


def compare(new: Mapping[str, Any], old: Mapping[str, Any]) -> Differences:
    """The largest difference of each kind in `TOLERANCES`; infinite where one is missing."""
    largest: Differences = {}
    for name, value in new.items():
        kinds = (k for k in TOLERANCES if name.startswith(f"{k}/") or name.endswith(f"_{k}"))
        if (kind := next(kinds, None)) is None:
            continue
        other = float(old.get(name, math.nan))
        if math.isnan(value) and math.isnan(other):
            continue
        scale = 1.0 if kind == "accuracy" else max(abs(value), abs(other), 1e-30)
        difference = abs(value - other) / scale
        largest[kind] = max(largest.get(kind, 0.0), difference if difference >= 0 else math.inf)
    return largest


def _of_study(folder: Path, options: Namespace) -> tuple[dict[str, Any], Differences]:
    """The largest difference of a study's first stored units, over that column's largest number.

    Seconds may be any, and columns may come and go; where words, shapes or what is finite are
    others it is infinite.
    """
    (job,) = jobs([f"from={folder}", "tracker=none"], sweep=False, modules=options.module)
    ((study, lab, *_),) = prepared(job)
    stored = whole_units(folder)
    units = [unit for unit in study.units(lab) if unit.name in stored][: options.units]
    apart = [_apart(unit.measure(), folder, unit.name) for unit in units]
    about = {"study": "/".join(folder.parts[-3:]), "units": [unit.name for unit in units]}
    return about, {"study": max(apart, default=math.inf)}


def _apart(new: Measurement, folder: Path, unit: str) -> float:
    rows, again = unit_rows(folder, unit), pd.DataFrame(new.rows)
    names = [name for name in rows.columns.intersection(again.columns) if name[-7:] != "seconds"]
    pairs: list[tuple[Any, Any]] = [(rows[name], again[name]) for name in names]
    pairs += [(array, new.arrays.get(name)) for name, array in unit_arrays(folder, unit).items()]
    return max((_difference(old, other) for old, other in pairs), default=math.inf)


def _difference(old: Any, new: Any) -> float:
    if np.shape(new) != np.shape(old):
        return math.inf
    old, new = np.asarray(old), np.asarray(new)
    if not all(np.issubdtype(of.dtype, np.number) for of in (old, new)):
        return 0.0 if [*map(str, old)] == [*map(str, new)] else math.inf
    finite = np.isfinite(old)
    if not np.array_equal(np.isfinite(new), finite):
        return math.inf
    largest = np.abs(old[finite]).max(initial=np.finfo(float).tiny)
    return float(np.abs(new[finite] - old[finite]).max(initial=0.0) / largest)


main = entry_point(replay)
