"""The command `glocal`: each of its commands is the `main` of a module, imported when asked for."""

import importlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from glocal_exp import __version__
from glocal_exp.app.main import entry_point
from glocal_exp.app.say import hint_at, tell
from glocal_exp.errors import UserError
from glocal_exp.places import OUTPUTS, ROOT


class Command(NamedTuple):
    """What is behind one word."""

    about: str  # what it does
    module: str  # of the package; its `main` takes arguments, and exits or returns the exit code
    options: Mapping[str, Any] = MappingProxyType({})  # what `main` takes besides, and `home`


OF_RUNS = {"repository": ROOT}
COMMANDS = {
    "train": Command("train while hyperparameters follow a hypergradient", "app.main"),
    "reproduce": Command("run the sweeps of the paper's experiments", "app.reproduce"),
    "study": Command("measure what needs no training run", "app.study"),
    "compare": Command("list stored runs by what differs, and draw them", "app.compare"),
    "merge": Command("copy runs and studies from other machines, verified", "app.merge"),
    "figures": Command("draw figures of runs", "report.build", OF_RUNS | {"kind": "figure"}),
    "tables": Command("make tables of runs", "report.build", OF_RUNS | {"kind": "table"}),
    "report": Command("what holds of the paper, after tables", "report.document.write", OF_RUNS),
    "demo": Command("what tuning brings and costs, on embedded images, in minutes", "app.demo"),
}
SAME_DIGITS = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}
"""What is drawn is the same to the last digit on any x86-64 processor with AVX2, on any number of
cores: else NumPy's linear algebra, and with it fits of full rank, would round as suits each."""
USAGE = """\
Glocal hypergradient estimation: hyperparameters tuned by gradients while a network trains.

usage: glocal COMMAND ...        (python -m glocal_exp COMMAND ...)

{commands}

`glocal COMMAND --help` explains each; `glocal --version` prints the version. Runs, figures and
tables go to ./outputs."""


def main(arguments: Sequence[str] | None = None, home: Path | None = None) -> NoReturn:
    """Run the command that the first word names, on the other words.

    Args:
        home: where runs are and what is made of them goes; `OUTPUTS` if None.
    """
    name, *words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        lines = [f"  {name:<10} {command.about}" for name, command in COMMANDS.items()]
        print(USAGE.format(commands="\n".join(lines)))
        sys.exit(0)
    if name == "--version":
        print(f"glocal {__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        hint, known = hint_at(name, COMMANDS), ", ".join(COMMANDS)
        sys.exit(tell(UserError(f"There is no command {name}; {hint}choose one of {known}.")))
    command = COMMANDS[name]
    if command.options:
        round_alike()

    def run(words: Sequence[str], _: Any) -> int:
        """Import what does it only now, and where Ctrl-C is heard."""
        module = importlib.import_module(f"glocal_exp.{command.module}")
        options = {**command.options, "home": home or OUTPUTS} if command.options else {}
        return module.main(arguments=words, **options)

    entry_point(run)(words)


def round_alike() -> None:
    """Have what is imported later, and processes that are started, compute `SAME_DIGITS`."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        for name, value in SAME_DIGITS.items():
            os.environ.setdefault(name, value)
