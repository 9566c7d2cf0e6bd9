"""What every test of commands may ask for."""

from .commands import shell

__all__ = ["shell"]
