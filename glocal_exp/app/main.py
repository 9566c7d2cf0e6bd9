"""Entry point: whatever goes wrong ends in one sentence and an exit code."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from glocal_exp.app import help as help_page
from glocal_exp.app.say import say
from glocal_exp.app.stop import INTERRUPTED, Interrupted, Stop
from glocal_exp.errors import BusyError, UserError

if TYPE_CHECKING:
    from glocal_exp.app.compose import Job

Work = Callable[["Job"], None]
JOB_FAILED, USER_ERROR = 1, 2


def entry_point(run: Callable[..., int]) -> Callable[..., NoReturn]:
    """The `main` of a command: `run` on the command line, or on arguments given instead.

    It takes `run`'s further options too, and exits with 0, 1 (a job of a sweep failed), 2 or 130.
    """

    def main(arguments: Sequence[str] | None = None, **options: Any) -> NoReturn:
        words = sys.argv[1:] if arguments is None else list(arguments)
        sys.exit(guarded(lambda stop: run(words, stop, **options)))

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
    except (UserError, OSError) as error:
        return tell(error)


def run(arguments: Sequence[str], stop: Stop) -> int:
    """Train as a command line says, see `run_jobs`; several runs end with a table of them."""
    done: list[Job] = []

    def work(job: "Job") -> None:
        from glocal_exp.app.check import check

        done.append(job)
        plan = check(job.config)
        # Only now: what training imports takes as long again as Hydra and the check.
        from glocal_exp.app.train import train

        train(job, plan, stop)

    code = run_jobs(arguments, help_page.text, work)
    if done:
        from glocal_exp.app.summary import summary

        if table := summary(done):
            say(table)
    return code


def run_jobs(arguments: Sequence[str], page: Callable[[], str], work: Work) -> int:
    """Do what a command line says, and return the exit code.

    Args:
        page: what --help prints.
        work: what is to be done with each job; one that fails does not stop the others, an only one
            raises what is wrong with it.
    """
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job"])
    parser.add_argument("--resolve", action="store_true")  # Hydra's; ours always is
    parser.add_argument("overrides", nargs="*")
    command = parser.parse_intermixed_args(list(arguments))
    if command.help:
        print(page())
        return 0
    from glocal_exp.app.compose import as_yaml, jobs

    todo = jobs(command.overrides, command.multirun)
    if command.cfg:
        print("---\n".join(as_yaml(job.config) for job in todo), end="")
        return 0
    if len(todo) == 1:
        work(todo[0])
        return 0
    named = ((f"[{number}/{len(todo)}] {job.name}", job) for number, job in enumerate(todo, 1))
    return run_all(named, work)


class Parser(argparse.ArgumentParser):
    """Whose complaints are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows what there is.")


def tell(error: Exception) -> int:
    """Print the sentence of an error, after its traceback if HYDRA_FULL_ERROR=1 asks for it."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    text = str(error)
    if isinstance(error, OSError):
        text = f"{error.filename or 'The system'}: {error.strerror or error}; check path and space."
    print(f"error: {text}", file=sys.stderr, flush=True)
    return USER_ERROR


def run_all(jobs: "Iterable[tuple[str, Job]]", work: Work) -> int:
    """All jobs, those last that another process was doing: they may be done by then.

    Args:
        jobs: each with what is said before it.
    """
    failed, busy, count = [], [], 0
    for again in (False, True):
        for heading, job in jobs:
            say(heading)
            count += not again
            try:
                work(job)
            except Interrupted:
                raise
            except BusyError as error:
                busy.append((heading, job))
                say(f"{'left to it' if again else 'put off'}: {error}")
            except (UserError, OSError) as error:
                tell(error)
                failed.append(job.name)
            except Exception:
                traceback.print_exc()
                failed.append(job.name)
        jobs, busy = busy, []
    if failed:
        print(
            f"error: {len(failed)} of {count} jobs failed ({'; '.join(failed)}); the same "
            "command does only what is missing.",
            file=sys.stderr,
        )
    return JOB_FAILED if failed else 0


main = entry_point(run)
