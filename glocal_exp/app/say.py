"""Lines for the user, and the exit codes of commands."""

import contextlib
import errno
import os
import sys
import traceback

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
