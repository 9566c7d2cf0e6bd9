"""What a user is meant to read."""

import argparse
from pathlib import Path
from typing import Any, NoReturn


class UserError(Exception):
    """One sentence that says what is wrong and what to do; printed without a traceback."""


class BusyError(UserError):
    """Another process is doing this very work."""


class Parser(argparse.ArgumentParser):
    """Whose complaints are a `UserError`; it takes options by their whole names."""

    def __init__(self, prog: str | None = None, **options: Any):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, formatter_class=form, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows what there is.")


def file_path(text: str) -> Path:
    """The `type` of an option that names a file to be written."""
    if Path(text).name in ("", ".."):
        raise argparse.ArgumentTypeError(f"{text!r} names no file")
    return Path(text)
