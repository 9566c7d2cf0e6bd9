"""How long a cell will take and how much disk, by what stored runs have taken."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

from omegaconf import OmegaConf

from glocal_exp.app.cells import Cell
from glocal_exp.errors import UserError
from glocal_exp.store import StoredRun, find_runs
from glocal_exp.store.load import read_run
from glocal_exp.store.manifest import processor

COUNTS = ("step", "plain_steps", "tangent_steps", "reverse_steps")
TIMES = ("seconds", "evaluation_seconds")
ALIKE = ("method", "hypergradient", "interval", "batch_size", "validation", "precision")
ALIKE += ("augmentation", "eval_every", "names.dataset", "names.task")
"""What the time of a step follows from besides its kind: the more of it two runs share, the better
does one tell of the other."""
UNKNOWN_START = 120.0  # choice: seconds for compiling and an interval that were never measured


@dataclass(frozen=True)
class Measured:
    """A stored run's times and size.

    Attributes:
        device: the GPU, or the CPU with its cores.
        kind: method, and network with its sizes.
        settings: the values of `ALIKE`, by dotted key.
        step: seconds of a training step, those of playouts counted, evaluation included; of seeds
            side by side that of all together.
        start: seconds that compiling took.
        size: bytes on disk, by step of training.
    """

    device: str
    kind: str
    settings: Mapping[str, Any]
    step: float
    start: float
    size: float


@dataclass(frozen=True)
class Estimate:
    """What is left of a cell.

    Attributes:
        seconds: infinity where nothing like it has been measured.
        first: seconds until an interval is stored.
        size: bytes on disk.
        source: where the seconds come from, in words.
    """

    seconds: float
    first: float
    size: float
    source: str


class Speeds:
    """Estimates by the runs that are stored, those of this device before any other's.

    Where this device has trained without hypergradients alone, a method takes as many times as long
    as that as it did elsewhere.

    Args:
        device: what a manifest says of this one.
        places: output directories.
    """

    def __init__(self, device: Mapping[str, Any], places: Iterable[Path]):
        self._device = _device_name(device, processor())
        roots = sorted({place.resolve() / "runs" for place in places})
        runs = [run for root in roots for run in find_runs(root, check_source=False)]
        self._measured = list(_measured(runs))

    def add(self, paths: Iterable[Path]) -> None:
        """Take in runs that have been trained since."""
        self._measured += _measured(read_run(path, check_source=False) for path in paths)

    def told(self, cells: Collection[Cell]) -> str:
        """How many, how long, and how that is known, in words."""
        estimates = [self.estimate(cell) for cell in cells]
        known = [estimate.seconds for estimate in estimates if estimate.seconds < math.inf]
        minutes = sum(known) / 60
        time = f"{minutes:.3g} min" if minutes < 90 else f"{minutes / 60:.3g} h"
        sources = Counter(estimate.source for estimate in estimates).most_common()
        if len(cells) == 1:
            return f"about {time} ({sources[0][0]})" if known else sources[0][0]
        how = ", ".join(f"{count} {source}" for source, count in sources)
        return f"{len(cells)} commands, about {time} ({how})"

    def estimate(self, cell: Cell) -> Estimate:
        """What is left of a cell, from its newest record on."""
        config: Any = OmegaConf.to_container(cell.job.config, resolve=True)
        settings, count = _settings(config), len(cell.paths)
        like, factor = self._like(_kind(config), settings, self._device), 1.0
        source = "measured here" + " with other settings" * bool(like and like.settings != settings)
        if like is None and (like := self._like(_kind(config), settings)):
            plain = _kind(config, method="none")
            here, there = (self._like(plain, settings, d) for d in (self._device, like.device))
            source = f"as on {like.device}"
            if here and there:
                factor = here.step / there.step
                source = f"by its cost in plain steps on {like.device}"
        if like is None:
            sizes = [m.size for m in self._measured] or [0.0]
            size = max(sizes) * config["steps"] * count
            return Estimate(math.inf, UNKNOWN_START, size, "nothing like it is measured")
        step, left = factor * like.step, (1 - cell.done) * cell.work
        return Estimate(
            like.start + step * left,
            like.start + step * config["interval"],
            like.size * config["steps"] * count,
            source,
        )

    def _like(
        self, kind: str, settings: Mapping[str, Any], device: str | None = None
    ) -> Measured | None:
        """The run of a kind that shares most settings, the middle one in time of equally many."""
        alike: dict[int, list[Measured]] = {}
        for one in self._measured:
            if one.kind == kind and device in (None, one.device):
                differ = sum(one.settings.get(k) != v for k, v in settings.items())
                alike.setdefault(differ, []).append(one)
        if not alike:
            return None
        best = alike[min(alike)]
        middle = median_low(one.step for one in best)
        return next(one for one in best if one.step == middle)


def _device_name(device: Mapping[str, Any], processor: str) -> str:
    """What run times depend on: the GPU, or the CPU with its cores."""
    return device["name"] if device["platform"] == "gpu" else processor


def _kind(config: Mapping[str, Any], method: str | None = None) -> str:
    """Method, and network with its sizes, of a config; those of another method if one is given."""
    names, model = config.get("names") or {}, config.get("model") or {}
    sizes = {k: v for k, v in model.items() if type(v) in (int, list) and k != "classes"}
    return json.dumps([method or names.get("method"), names.get("model"), sizes], sort_keys=True)


def _measured(runs: Iterable[StoredRun]) -> Iterator[Measured]:
    for run in runs:
        try:
            rows = run.metrics() if run.status in ("complete", "stale", "partial") else []
            if len(rows) < 2:  # before training, and an interval
                continue
            steps = int(rows["step"].iloc[-1])
            work = max(rows[name].iloc[-1] for name in COUNTS if name in rows)
            yield Measured(
                _device_name(run.manifest["device"], run.manifest["processor"]),
                _kind(run.config),
                _settings(run.config),
                sum(rows[name].sum() for name in TIMES) / work,
                rows["compile_seconds"].sum(),
                sum(f.stat().st_size for f in run.path.glob("*.*")) / steps,
            )
        except (UserError, KeyError, TypeError):  # of an older form: it tells nothing
            continue


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for name in ALIKE for key, value in _leaves(name, _at(config, name))}


def _at(config: Any, path: str) -> Any:
    for part in path.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, entry in value.items():
        yield from _leaves(f"{path}.{name}", entry)
