"""`python scripts/replay.py`: does the present source still give the numbers that are stored?"""

import math
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from glocal_exp.app.build import build
from glocal_exp.app.compose import jobs
from glocal_exp.app.main import entry_point
from glocal_exp.app.replay_studies import measured_again, outdated_studies
from glocal_exp.app.say import say
from glocal_exp.app.stop import Stop
from glocal_exp.errors import Parser, UserError
from glocal_exp.store import StoredRun, find_runs
from glocal_exp.store.load import current_source
from glocal_exp.store.manifest import REPOSITORY, git_state
from glocal_exp.store.status import REPLAYS, add_replays

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
    add("--output", type=Path, default=REPLAYS, help="file (results/replays.json)")
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


def _of_run(run: StoredRun, options: Namespace) -> tuple[dict[str, Any], Differences]:
    name = run.path.relative_to(options.runs).as_posix()
    largest = differences(run, options.intervals, options.module)
    return {"run": name, "intervals": options.intervals}, largest


def _of_study(folder: Path, options: Namespace) -> tuple[dict[str, Any], Differences]:
    """Of its first units."""
    units, largest = measured_again(folder, options.units, options.module)
    return {"study": "/".join(folder.parts[-3:]), "units": units}, {"study": largest}


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
            sources = (run.manifest["source_hash"], current)
            chosen[sources].append(run)
    return list(chosen.items())


def differences(run: StoredRun, intervals: int, modules: Sequence[str] = ()) -> Differences:
    """The largest difference of each kind between a stored run and its first intervals now.

    That its data are not here is a `UserError`, or that its config names code of other `modules`.
    """
    overrides = [f"from={run.path}", f"seed={run.seed}", "seeds=null", "tracker=none"]
    (job,) = jobs(overrides, sweep=False, modules=modules)
    experiment = build(job.config, job.choices)
    parts = experiment.splits(run.seed)
    if parts.info["fingerprint"] != run.column("fingerprint"):
        raise UserError(
            f"{run.path} was trained on other images than those of {parts.info['title']} here; "
            "give its data by data_dir (GLOCAL_DATA_DIR)."
        )
    stored = run.metrics().set_index("outer_step")
    new = [record.row() for record in islice(experiment.loop({run.seed: parts}), 1 + intervals)]
    each = [compare(row, stored.loc[row["outer_step"]].to_dict()) for row in new]
    return pd.DataFrame(each).max().to_dict()


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


main = entry_point(replay)
