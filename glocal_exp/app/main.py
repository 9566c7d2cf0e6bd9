"""Entry point: whatever goes wrong ends in one sentence and an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from glocal_exp.app.choices import help_page
from glocal_exp.app.say import BUSY, INTERRUPTED, UNREAD, tell
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.errors import BusyError, Parser, UserError

if TYPE_CHECKING:
    from glocal_exp.app.compose import Job
    from glocal_exp.app.launchers.launcher import Work


def entry_point(run: Callable[..., int]) -> Callable[..., NoReturn]:
    """The `main` of a command: `run` on the command line, or on arguments given instead.

    It takes `run`'s further options too, and exits with 0, 1 (a job of a sweep failed), 2, 75
    (another process is at it) or 130.
    """

    def main(arguments: Sequence[str] | None = None, **options: Any) -> NoReturn:
        words = sys.argv[1:] if arguments is None else list(arguments)
        code = guarded(lambda stop: run(words, stop, **options))
        try:
            if sys.stdout:  # none, if it was closed
                sys.stdout.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):  # of a reader such as `head`
                code = code or tell(error)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(code)

    return main


def guarded(function: Callable[[Stop], int]) -> int:
    """The exit code of `function`, or of what it raises, which is told in one sentence."""
    stop = Stop()
    try:
        with stop.listening():
            return function(stop)
    except (Interrupted, KeyboardInterrupt):
        print("interrupted: what was done is kept; the same command goes on.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return UNREAD
    except BusyError as error:
        tell(error)
        return BUSY
    except (UserError, OSError) as error:
        return tell(error)


def run(arguments: Sequence[str], stop: Stop) -> int:
    """Train as a command line says, see `run_jobs`; several runs end with a table of them."""

    def work(job: "Job") -> None:
        from glocal_exp.app.check import check

        plan = check(job.config)
        # Only now: what training imports takes as long again as Hydra and the check.
        from glocal_exp.app.train import train

        train(job, plan, stop)

    code, done = run_jobs(arguments, help_page, "train", work, stop)
    if done:
        from glocal_exp.app.sweep import sum_up

        sum_up(done)
    return code


def run_jobs(
    arguments: Sequence[str], page: Callable[[], str], name: str, work: "Work", stop: Stop
) -> "tuple[int, list[Job]]":
    """Do what a command line says.

    Args:
        page: what --help prints.
        name: of the command of `glocal` that this is.
        work: what is to be done with each job; one that fails does not stop the others, an only one
            raises what is wrong with it.

    Returns:
        The exit code, and the jobs.
    """
    parser = Parser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job"])
    parser.add_argument("--resolve", action="store_true")  # Hydra's; ours always is
    parser.add_argument("overrides", nargs="*")
    command = parser.parse_intermixed_args(list(arguments))
    if command.help:
        print(page())
        return 0, []
    from glocal_exp.app.compose import as_yaml, jobs

    todo = jobs(command.overrides, command.multirun)
    if command.cfg:
        print("---\n".join(as_yaml(job.config) for job in todo), end="")
        return 0, []
    from glocal_exp.app.sweep import launcher_of, run_all, tasks

    launcher = launcher_of(todo)
    if len(todo) == 1 and launcher.is_here:
        work(todo[0])
        return 0, todo
    return run_all(tasks(todo, name, work, launcher), launcher, stop), todo


main = entry_point(run)
