"""The command line: flags of our own, everything else is an override for Hydra."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Arguments:
    """A command line taken apart.

    Attributes:
        overrides: `KEY=VALUE`, `GROUP=CHOICE` and their like, as typed.
        sweep: run every combination of the values that are separated by commas.
        show: print the config of every job instead of running it.
        help: print what there is to say.
    """

    overrides: tuple[str, ...]
    sweep: bool = False
    show: bool = False
    help: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows what there is.")


def parse(arguments: Sequence[str]) -> Arguments:
    """Take a command line apart.

    Raises:
        UserError: for a flag that does not exist.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-c", "--cfg", choices=["job"])
    parser.add_argument("--resolve", action="store_true")  # Hydra's; ours always is
    parser.add_argument("overrides", nargs="*")
    found = parser.parse_intermixed_args(list(arguments))
    return Arguments(tuple(found.overrides), found.multirun, found.cfg is not None, found.help)
