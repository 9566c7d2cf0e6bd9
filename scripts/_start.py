"""What the scripts begin with: the package, or a sentence on how to have it."""

import importlib
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results"


def load(module):
    """Import a module; exits with 2 where this Python lacks a package."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        hint = "run `make setup` in the repository, and use its .venv/bin/python"
        print(f"error: {sys.executable} has no package {error.name}; {hint}.", file=sys.stderr)
        sys.exit(2)


def draw(command):
    """Do what a command of `glocal` does, from and into results/ of this repository."""
    load("glocal_exp.app.command").main([command, *sys.argv[1:]], RESULTS)
