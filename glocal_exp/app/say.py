"""Lines for the user, and the exit codes of commands."""

import contextlib
import difflib
import errno
import os
import sys
import traceback
from collections.abc import Iterable

JOB_FAILED, USER_ERROR, BUSY = 1, 2, os.EX_TEMPFAIL
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
UNREAD = 141  # likewise for one whose output nobody reads


def say(text: str) -> None:
    """Print a line at once; a run does not end because nobody is there to read it."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def tell(error: Exception) -> int:
    """Print the sentence of an error, after its traceback if HYDRA_FULL_ERROR=1 asks for it."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    text = str(error)
    if isinstance(error, OSError):
        where = error.filename or "What is printed to, or the disk"
        advice = "no access; ask its owner for it, or choose another place"
        denied = error.errno in (errno.EACCES, errno.EPERM)
        advice = advice if denied else f"{error.strerror or error}; check path and space"
        text = f"{where}: {advice}."
    print(f"error: {text}", file=sys.stderr, flush=True)
    return USER_ERROR


def hint_at(name: str, options: Iterable[str], path: str = "") -> str:
    """Which of the options may have been meant, as a question; empty if none is like it."""
    by_letters = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), list(by_letters), n=1)
    return f"did you mean {path}{by_letters[close[0]]}? " if close else ""
