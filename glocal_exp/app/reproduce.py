"""The reproduction of the paper: `glocal reproduce [ID ...] [KEY=VALUE ...]`."""

import contextlib
import math
import os
import shutil
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glocal_exp.app.choices import choices, described
from glocal_exp.app.main import entry_point
from glocal_exp.app.plans import composed, studies, sweeps, unmeasured
from glocal_exp.app.rerun import text_of, typed
from glocal_exp.app.say import hint_at, say
from glocal_exp.app.stop import OutOfTime, Stop
from glocal_exp.errors import Parser, UserError
from glocal_exp.places import OUTPUTS, RESULTS
from glocal_exp.store.status import stored_status

if TYPE_CHECKING:
    from glocal_exp.app.cells import Cell
    from glocal_exp.app.compose import Job
    from glocal_exp.app.launchers.launcher import Launcher
    from glocal_exp.app.speed import Speeds

FIRST = ("tier_a", "short", "estimators", "studies")
"""The parts that figures, tables and report are made from."""
TEXT = """\
Run what the reproduction of the paper consists of, as far as it is not stored yet.

usage: glocal reproduce [ID ...] [KEY=VALUE ...] [minutes=N] [also=DIR] [--missing]

An ID is a part of the plan (without any: {first}) or an experiment: all its methods and seeds.
Settings win over their own (steps=2000, method=local,glocal, seed=0). Runs go to
{output}/runs unless output_dir says otherwise; figures and tables draw them. The same command
again, in a second process or on another machine too, does only what is missing, failed, stale or
damaged. A run made elsewhere is merged by copying its directory, and verified before it counts.
`glocal train --help` explains settings.

  minutes=N    do the runs that are worth most of what fits, and stop before so many are over
  also=DIR     complete runs in DIR/runs count, too
  --missing    print the commands of what is missing, and run nothing

plan
{plan}

experiments
{experiments}
"""


def reproduce(arguments: Sequence[str], stop: Stop, output: Path = OUTPUTS) -> int:
    """Run into `output` what is not stored of the parts and experiments named; 1 if one failed."""
    if {"-h", "--help"} & set(arguments):
        page = {"plan": described("plan", 28), "experiments": described("experiment", 28)}
        print(TEXT.format(first=", ".join(FIRST), output=output, **page), end="")
        return 0
    command = _parsed(arguments)
    stop.after(command.minutes)
    from glocal_exp.app.study import measure
    from glocal_exp.app.sweep import launcher_of, run_all, tasks

    own = [f"output_dir={text_of(os.path.relpath(output))}"]
    lines = [[*own, *line] for name in command.names for line in sweeps(name)]
    named, code = composed(lines, command.settings), 0
    of_studies = [[*own, *line] for name in command.names for line in studies(name)]
    left = unmeasured(of_studies, command.settings, command.minutes)
    if named:
        launcher = launcher_of(named)
        if not launcher.is_here:  # this process looks at a GPU, and leaves its memory to others
            os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        todo, speeds = _planned(named, command.others)
        if not command.missing:
            code = _run(todo, speeds, launcher, stop)
        for cell in todo if command.missing else ():
            about = f"{speeds.time([cell])} ({speeds.estimate(cell).source})"
            print(f"# {', '.join(dict.fromkeys(cell.states))}; {about}\n{cell.command}")
    if left and not command.missing:
        launcher = launcher_of(left)
        return code | run_all(tasks(left, "study", measure, launcher), launcher, stop)
    for job in left:
        print(f"# missing; of unknown length\n{typed('study', job.overrides)}")
    return code


def _planned(jobs: "Sequence[Job]", others: Sequence[Path]) -> "tuple[list[Cell], Speeds]":
    """The cells that are left, and how long they take; says so."""
    from glocal_exp.app.cells import cells
    from glocal_exp.app.device import use_device
    from glocal_exp.app.speed import Speeds

    device, output = use_device(jobs[0].config), Path(jobs[0].config.output_dir)
    found = list(cells(jobs, device.settings.seeds == "batched", others))
    todo = [cell for cell in found if not cell.is_complete]
    speeds = Speeds(device.facts(), (output, RESULTS, *others))
    runs, left = (sum(len(cell.paths) for cell in some) for some in (found, todo))
    say(f"# {runs - left} of {runs} runs are stored")
    if not todo:
        return todo, speeds
    states = Counter(state for cell in todo for state in cell.states)
    say(f"# {_counted(states)}; commands: {len(todo)}, {speeds.time(todo)}")
    estimates = [speeds.estimate(cell) for cell in todo]
    say(f"# times: {_counted(Counter(estimate.source for estimate in estimates))}")
    there = next(place for place in (output, *output.absolute().parents) if place.exists())
    size, free = sum(estimate.size for estimate in estimates), shutil.disk_usage(there).free
    say(f"# disk: {size / 1e6:.1f} MB, {free / 1e6:.0f} MB are free")
    if size > free:
        raise UserError(f"{output} has no room for this; free some, or choose another output_dir.")
    return todo, speeds


def _counted(words: "Counter[str]") -> str:
    return ", ".join(f"{count} {word}" for word, count in words.most_common())


def _run(todo: "list[Cell]", speeds: "Speeds", launcher: "Launcher", stop: Stop) -> int:
    from glocal_exp.app.build import load_data
    from glocal_exp.app.check import check
    from glocal_exp.app.launchers.launcher import Task
    from glocal_exp.app.sweep import run_all, sum_up
    from glocal_exp.app.train import train

    def work(job: "Job") -> None:
        if stop.seconds_left <= 0:
            raise OutOfTime
        train(job, check(job.config), stop)

    if todo and todo[0].job.config.problem is None:
        load_data(todo[0].job.config)  # or one sentence, instead of one for each command
    left, code = list(todo), 0
    tasks = (Task(name, job, work, "train") for name, job in queue(left, speeds, stop))
    try:
        code = run_all(tasks, launcher, stop)
    except OutOfTime:  # some of what a launcher has taken from the queue may not be done
        left = [cell for cell in todo if cell in left or not _is_stored(cell)]
    sum_up([cell.job for cell in todo if cell not in left])
    if left:
        speeds.add(path for cell in left for path in cell.paths)  # one may have begun
        done = f"{len(todo) - len(left)} of {len(todo)} commands are done"
        say(f"the limit is near: {done}, left: {speeds.time(left)}; the same command goes on")
    return code


def _is_stored(cell: "Cell") -> bool:
    return all(stored_status(path) == "complete" for path in cell.paths)


def queue(left: "list[Cell]", speeds: "Speeds", stop: Stop) -> "Iterator[tuple[str, Job]]":
    """What to do next and what is said before; it goes from `left` once it is done.

    In the order of the plan. Before a limit the first that fits, else the first of which at least
    an interval does, since it goes on from there another time.
    """
    total = len(left)
    while left:
        limit, estimates = stop.seconds_left, [(speeds.estimate(cell), cell) for cell in left]
        fitting = [cell for estimate, cell in estimates if estimate.seconds <= limit < math.inf]
        begun = [cell for estimate, cell in estimates if estimate.first <= limit]
        if not (chosen := fitting or begun):
            return
        heading = f"[{total - len(left) + 1}/{total}, left: {speeds.time(left)}]"
        yield f"{heading} {chosen[0].job.name}", chosen[0].job
        speeds.add(chosen[0].paths)
        left.remove(chosen[0])


def _parsed(arguments: Sequence[str]) -> Namespace:
    """What is typed: `names` of parts and experiments, `settings` of training, and what is its own.

    Raises:
        UserError: for what is not known.
    """
    parser = Parser("glocal reproduce", add_help=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--missing", action="store_true")
    command = parser.parse_intermixed_args(list(arguments))
    own: dict[str, list[str]] = {"minutes": [], "also": []}
    names, settings = [], []
    for word in command.words:
        key, equals, value = word.partition("=")
        if key in own and equals:
            own[key].append(value)
        else:
            (settings if equals or word.startswith("~") else names).append(word)
    known = [*choices("plan"), *choices("experiment")]
    if wrong := [name for name in names if name not in known]:
        hint = hint_at(wrong[0], known)
        raise UserError(f"There is no experiment {wrong[0]}; {hint}choose from {', '.join(known)}.")
    command.minutes = min(map(_minutes, own["minutes"]), default=math.inf)
    command.others = [Path(place).expanduser() for place in own["also"]]
    if lost := [place for place in command.others if not (place / "runs").is_dir()]:
        raise UserError(f"also={lost[0]} holds no folder runs; name an output_dir of other runs.")
    command.names, command.settings = names or [*FIRST], settings
    return command


def _minutes(text: str) -> float:
    with contextlib.suppress(ValueError):
        if (minutes := float(text)) > 0:
            return minutes
    raise UserError(f"minutes={text} is no number above 0, as minutes=8 is.")


main = entry_point(reproduce)
