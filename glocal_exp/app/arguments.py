"""The command line: flags of our own, everything else is an override for Hydra."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from glocal_exp.errors import UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows what there is.")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Take a command line apart: into `overrides` as typed, and whether to `sweep`, `show`, `help`.

    Raises:
        UserError: for a flag that does not exist.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true", dest="sweep")
    parser.add_argument("-c", "--cfg", choices=["job"], dest="show")
    parser.add_argument("--resolve", action="store_true")  # Hydra's; ours always is
    parser.add_argument("overrides", nargs="*")
    return parser.parse_intermixed_args(list(arguments))
