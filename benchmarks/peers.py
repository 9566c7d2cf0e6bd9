"""Ways of peers as candidates, where their packages are installed."""

from functools import cached_property, partial
from importlib import import_module
from typing import Any

from benchmarks.comparison import Candidate
from benchmarks.work import Work


class Peers:
    """Makes candidates for a work, and remembers what is `missing`: by package, why."""

    def __init__(self, work: Work):
        self._work = work
        self.missing: dict[str, str] = {}

    def way(self, name: str, part: str, package: str = "torch", **settings: Any) -> list[Candidate]:
        """A function of `torch_ways` with its settings; none where its package is missing."""
        try:
            import_module(package)
            call = getattr(import_module("benchmarks.torch_ways"), part)
        except ImportError as error:
            self.missing[package] = f"{error}; `make bench` installs what it times beside"
            return []
        return [Candidate(name, partial(call, self._torch, **settings), ours=False)]

    @cached_property
    def _torch(self) -> Any:
        return import_module("benchmarks.torch_network").TorchWork(self._work)
