"""Entry point: whatever goes wrong ends in one sentence and an exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from glocal_exp.app.arguments import parse
from glocal_exp.app.say import say
from glocal_exp.app.stop import INTERRUPTED, Interrupted, Stop
from glocal_exp.errors import UserError

if TYPE_CHECKING:
    from glocal_exp.app.compose import Job

JOB_FAILED, USER_ERROR = 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Train as the command line says; exits with 0, 1 (a job of a sweep failed), 2 or 130."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda stop: run(given, stop)))


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
    """Do what a command line says, and return the exit code.

    Raises:
        UserError: when the command line or its only job is at fault.
        Interrupted, KeyboardInterrupt: after Ctrl-C or SIGTERM.
    """
    command = parse(arguments)
    if command.help:
        from glocal_exp.app.help import text

        print(text())
        return 0
    from glocal_exp.app.compose import as_yaml, jobs

    found = jobs(command.overrides, command.sweep)
    if command.show:
        print("---\n".join(as_yaml(job.config) for job in found), end="")
        return 0
    return _train_all(found, stop)


def tell(error: Exception) -> int:
    """Print the sentence of an error, after its traceback if HYDRA_FULL_ERROR=1 asks for it."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    text = str(error)
    if isinstance(error, OSError):
        text = f"{error.filename or 'The system'}: {error.strerror or error}; check path and space."
    print(f"error: {text}", file=sys.stderr, flush=True)
    return USER_ERROR


def _train_all(jobs: "Sequence[Job]", stop: Stop) -> int:
    """Train job after job; one that fails does not stop the others."""
    if len(jobs) == 1:
        _train(jobs[0], stop)
        return 0
    failed = []
    for number, job in enumerate(jobs, start=1):
        say(f"[{number}/{len(jobs)}] {job.name}")
        try:
            _train(job, stop)
        except Interrupted:
            raise
        except (UserError, OSError) as error:
            tell(error)
            failed.append(job.name)
        except Exception:
            traceback.print_exc()
            failed.append(job.name)
    if failed:
        print(
            f"error: {len(failed)} of {len(jobs)} jobs failed ({'; '.join(failed)}); the same "
            "command does only what is missing.",
            file=sys.stderr,
        )
    return JOB_FAILED if failed else 0


def _train(job: "Job", stop: Stop) -> None:
    from glocal_exp.app.check import check

    plan = check(job.config)
    # Only now: what training imports takes as long again as Hydra and the check.
    from glocal_exp.app.train import train

    train(job, plan, stop)
