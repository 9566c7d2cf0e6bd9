"""How long a cell will take and how much disk, by what stored runs have taken."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glocal_exp.app.cells import Cell
from glocal_exp.errors import UserError
from glocal_exp.report.settings import leaves
from glocal_exp.store import StoredRun, find_runs
from glocal_exp.store.load import at, read_run
from glocal_exp.store.manifest import processor

COUNTS = ("step", "plain_steps", "tangent_steps", "reverse_steps")
TIMES = ("seconds", "evaluation_seconds")
ALIKE = ("method", "hypergradient", "interval", "batch_size", "validation", "precision")
ALIKE += ("augmentation", "eval_every", "names.dataset", "names.task")
"""What the time of a step follows from besides method and network: the more of it two runs share,
the better does one tell of the other."""
UNKNOWN_START = 120.0  # choice: seconds for compiling and an interval that were never measured


@dataclass(frozen=True)
class Measured:
    """A stored run's times and size."""

    device: str  # the GPU, or the CPU with its cores
    method: str
    network: str  # what it trained, with its sizes
    settings: Mapping[str, Any]  # the values of `ALIKE`, by dotted key
    # Seconds of a training step, those of playouts counted, evaluation included; of seeds side by
    # side that of all together.
    step: float
    validation: int  # held-out images
    images: float  # those that validation gradients of a step were taken on
    start: float  # seconds that compiling took
    size: float  # bytes on disk, by step of training


@dataclass(frozen=True)
class Estimate:
    """What is left of a cell."""

    seconds: float  # infinity where nothing like it has been measured
    first: float  # seconds until an interval is stored
    size: float  # bytes on disk
    source: str  # where the seconds come from, in words


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

    def time(self, cells: Iterable[Cell]) -> str:
        """How long all of them take, in words."""
        seconds = [self.estimate(cell).seconds for cell in cells]
        known = [time for time in seconds if time < math.inf]
        unknown = f"{len(seconds) - len(known)} of unknown length" * (len(known) < len(seconds))
        return " and ".join(filter(None, [f"about {_duration(sum(known))}" * bool(known), unknown]))

    def estimate(self, cell: Cell) -> Estimate:
        """What is left of a cell, from its newest record on."""
        config = cell.config
        settings, seeds, factor = _settings(config), len(cell.paths), 1.0
        like = self._like(config, settings, self._device)
        source = "measured here" + " with other settings" * bool(like and like.settings != settings)
        if like is None and (like := self._like(config, settings)):
            devices = (self._device, like.device)
            here, there = (self._like(config, settings, d, method="none") for d in devices)
            source = f"as on {like.device}"
            if here and there:
                factor = here.step / there.step
                source = f"by its cost in plain steps on {like.device}"
        if like is None:
            size = max([m.size for m in self._measured] or [0.0]) * config["steps"] * seeds
            return Estimate(math.inf, UNKNOWN_START, size, "nothing like it measured")
        images = (config["validation"]["subset"] or like.validation) * cell.gradients / cell.work
        more = self._gradient(like) * (images - like.images)
        step = factor * max(like.step + more, like.step / 10)
        return Estimate(
            like.start + step * (1 - cell.done) * cell.work,
            like.start + step * config["interval"],
            like.size * config["steps"] * seeds,
            source,
        )

    def _like(
        self,
        config: Mapping[str, Any],
        settings: Mapping[str, Any],
        device: str | None = None,
        method: str | None = None,
    ) -> Measured | None:
        """The run of a method and network that shares most settings, of equally many the middle."""
        kind, alike = (method or at(config, "names.method"), _network(config)), defaultdict(list)
        for one in self._measured:
            if (one.method, one.network) == kind and device in (None, one.device):
                alike[sum(one.settings.get(k) != v for k, v in settings.items())].append(one)
        if not alike:
            return None
        best = sorted(alike[min(alike)], key=lambda one: one.step)
        return best[(len(best) - 1) // 2]

    def _gradient(self, like: Measured) -> float:
        """Seconds of a validation gradient by image: how step times grow with images."""
        alike = [m for m in self._measured if (m.device, m.network) == (like.device, like.network)]
        images, steps = ([getattr(m, x) for m in alike if m.images] for x in ("images", "step"))
        return max(float(np.polyfit(images, steps, 1)[0]), 0.0) if len({*images}) > 1 else 0.0


def _duration(seconds: float) -> str:
    value, unit = (seconds / 60, "min") if seconds < 5400 else (seconds / 3600, "h")
    return f"{value:.{0 if value >= 10 else 1}f} {unit}"


def _device_name(device: Mapping[str, Any], processor: str) -> str:
    """What run times depend on: the GPU, or the CPU with its cores."""
    return device["name"] if device["platform"] == "gpu" else processor


def _network(config: Mapping[str, Any]) -> str:
    """Its name and sizes."""
    model = at(config, "model") or {}
    sizes = {k: v for k, v in model.items() if type(v) in (int, list) and k != "classes"}
    return json.dumps([at(config, "names.model"), sizes], sort_keys=True)


def _measured(runs: Iterable[StoredRun]) -> Iterator[Measured]:
    for run in runs:
        if run.status not in ("complete", "stale", "partial"):
            continue
        try:
            rows = run.metrics().to_dict("list")
            yield _read(run, {str(name): values for name, values in rows.items()})
        except (UserError, LookupError, TypeError, ZeroDivisionError):
            continue  # no interval is stored, or its form is older: it tells nothing


def _read(run: StoredRun, rows: Mapping[str, list[float]]) -> Measured:
    last = {name: values[-1] for name, values in rows.items()}
    work = max(last.get(name, 0) for name in COUNTS)
    validation = run.manifest["data"]["sizes"]["validation"]
    images = at(run.config, "validation.subset") or validation
    return Measured(
        _device_name(run.manifest["device"], run.manifest["processor"]),
        str(at(run.config, "names.method")),
        _network(run.config),
        _settings(run.config),
        sum(sum(rows[name]) for name in TIMES) / work,
        validation,
        images * last["validation_gradients"] / work,
        sum(rows["compile_seconds"]),
        sum(file.stat().st_size for file in run.path.glob("*.*")) / last["step"],
    )


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for name in ALIKE for key, value in leaves(name, at(config, name))}
