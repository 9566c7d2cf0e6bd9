"""Lines for the user."""

import contextlib


def say(text: str) -> None:
    """Print a line at once; a run does not end because nobody is there to read it."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)
