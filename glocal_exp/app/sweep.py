"""The jobs of a command, through the launcher that its config names, and how their runs ended."""

import contextlib
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from glocal_exp.app.check import check_group
from glocal_exp.app.config import plain
from glocal_exp.app.instantiate import instantiate_group
from glocal_exp.app.launchers.launcher import Launcher, Task, Work
from glocal_exp.app.say import BUSY, INTERRUPTED, JOB_FAILED, say
from glocal_exp.app.stop import OutOfTime, Stop
from glocal_exp.errors import UserError

if TYPE_CHECKING:
    from glocal_exp.app.compose import Job

ATTEMPTS_AT_BUSY = 2


def launcher_of(jobs: "Iterable[Job]") -> Launcher:
    """What is to run them; `UserError` unless they agree."""
    nodes = [plain(job.config.launcher) for job in jobs]
    if any(node != nodes[0] for node in nodes):
        raise UserError("launcher has several values; a sweep has one, so give it one.")
    check_group("launcher", nodes[0])
    return instantiate_group("launcher", nodes[0])


def tasks(jobs: "Sequence[Job]", command: str, work: Work, launcher: Launcher) -> list[Task]:
    """A task for each job; not for a run that is stored, if it took a process to find that out."""
    known = command == "train" and not launcher.is_here
    found = [
        Task(f"[{number}/{len(jobs)}] {job.name}", job, work, command)
        for number, job in enumerate(jobs, start=1)
        if not (known and {state for _, state in _runs(job)} == {"complete"})
    ]
    if stored := len(jobs) - len(found):
        say(f"{stored} of {len(jobs)} jobs are complete already")
    return found


def _runs(job: "Job") -> Collection[tuple[Path, str]]:
    """Directories of a job's runs, and their states; of one that cannot be done none."""
    from glocal_exp.app.cells import runs

    with contextlib.suppress(UserError, OSError):
        return runs(job).values()
    return []


def run_all(tasks: Iterable[Task], launcher: Launcher, stop: Stop) -> int:
    """Run all tasks; 1 if some have failed, which does not stop the others.

    Those that another process was doing come once more at the end: they may be done by then. So do
    those whose process was killed, as often as the launcher says.

    Raises:
        Interrupted: when asked to stop.
    """
    attempts, failed, cut = Counter(), [], False
    while True:
        later = []
        with closing(launcher.run(tasks, stop)) as ends:
            for task, code, told in ends:
                attempts[task] += 1
                if code == BUSY:
                    again = attempts[task] < ATTEMPTS_AT_BUSY
                    say(f"{'put off' if again else 'left to it'}: {told}")
                    later += [task] * again
                elif code == INTERRUPTED and stop.until is not None:
                    cut = True
                elif (code < 0 or code == INTERRUPTED) and attempts[task] <= launcher.retries:
                    later.append(task)
                    say(f"{task.heading}: to be taken up again")
                elif code:
                    failed.append(task.job.name)
        if not later:
            break
        tasks = later
    if cut:
        raise OutOfTime
    if failed:
        print(
            f"error: {len(failed)} of {len(attempts)} jobs failed ({'; '.join(failed)}); the same "
            "command does only what is missing.",
            file=sys.stderr,
        )
    return JOB_FAILED if failed else 0


def sum_up(jobs: "Sequence[Job]") -> None:
    """Print a table of what is stored of some jobs, whoever has run them, if it is several runs."""
    from glocal_exp.store.load import read_run

    paths = dict.fromkeys(path for job in jobs for path, _ in _runs(job))
    stored = [path for path in paths if path.is_dir()]
    if len(stored) < 2:
        return
    # Only now: a run alone does not wait for matplotlib.
    from glocal_exp.report.comparison import compare
    from glocal_exp.report.formats import markdown

    compared = compare([read_run(path) for path in stored])
    if len(compared.entries) > 1:
        roots = dict.fromkeys(f"{job.config.output_dir}/runs" for job in jobs)
        say(f"\n{markdown(compared.sheet(short=True)).rstrip()}\n")
        say(f"`glocal compare {' '.join(roots)}` says more; `--draw` draws them.")
