"""What the scripts begin with: the package, or a sentence on how to have it."""

import importlib
import sys


def load(module):
    """Import a module; exits with 2 where this Python lacks a package."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        hint = "run `make setup` in the repository, and use its .venv/bin/python"
        print(f"error: {sys.executable} has no package {error.name}; {hint}.", file=sys.stderr)
        sys.exit(2)
