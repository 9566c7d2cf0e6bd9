"""Building peers where their packages are installed, and saying which are not."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Peers:
    """Makes peers, and remembers those that cannot be had here.

    Attributes:
        missing: by name, why.
    """

    def __init__(self):
        self.missing: dict[str, str] = {}

    def make(self, name: str, factory: Callable[[], T]) -> T | None:
        """What `factory` makes, or None where it cannot import what it needs."""
        try:
            return factory()
        except ImportError as error:
            self.missing[name] = f"{error}; `make bench` installs what it times beside"
            return None
