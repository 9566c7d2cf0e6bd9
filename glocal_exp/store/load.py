"""Reading stored runs back, without JAX: as objects, or all of them as one DataFrame."""

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.errors import UserError
from glocal_exp.places import OUTPUTS
from glocal_exp.store import files
from glocal_exp.store.directory import ARRAYS
from glocal_exp.store.fingerprint import source_fingerprint
from glocal_exp.store.seal import damage, intact_manifest
from glocal_exp.store.status import Status, status
from glocal_exp.store.studies import study_config

HASH_ENDING = re.compile(r"(?:^|-)([0-9a-f]{8})$")
"""The config hash in a variant's name, if it has one."""
RUN_COLUMNS = (
    "experiment", "variant", "method", "dataset", "model", "task", "steps", "interval",
    "precision", "status", "run_diverged", "commit", "started", "ended", "device", "fingerprint",
    "title", "notice", "path",
)  # fmt: skip


@dataclass(frozen=True)
class StoredRun:
    """One run directory; its files are read when asked for.

    Attributes:
        path: `<root>/<experiment>/<variant>/seed=<k>`.
        manifest: manifest.json; unknown fields are kept, absent ones are absent.
        status: see `store.status`; `stale` against the source of this checkout.
        experiment, variant, method, seed: of the manifest, else as the path has them.
    """

    path: Path
    manifest: dict[str, Any] = field(repr=False)
    status: Status
    experiment: str
    variant: str
    method: str
    seed: int

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml as plain values; empty when absent."""
        if not (self.path / files.CONFIG).exists():
            return {}
        config: Any = OmegaConf.to_container(study_config(self.path), resolve=False)
        return config

    @property
    def damage(self) -> str | None:
        """What is not as it was written, if the run is damaged."""
        if self.status != "damaged":
            return None
        return damage(self.path, self.manifest) or f"{files.CONFIG} cannot be read"

    def metrics(self) -> pd.DataFrame:
        """metrics.csv: one row an interval record."""
        return files.read_frame(self.path / files.METRICS)

    def arrays(self) -> dict[str, np.ndarray]:
        """arrays.npz, by `s<outer_step>/<name>`."""
        return files.read_arrays(self.path / ARRAYS)

    def value(self, key: str, default: Any = None) -> Any:
        """A dotted key of the config (`task.init.learning_rate`), else of the manifest."""
        for source in (self.config, self.manifest):
            value: Any = source
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is not None:
                return value
        return default

    def column(self, name: str) -> Any:
        """A run column of `load_runs`."""
        if name in ("experiment", "variant", "method", "seed", "status"):
            return getattr(self, name)
        found = self.manifest
        if name in ("title", "notice", "fingerprint"):
            return (found.get("data") or {}).get(name, found.get(name))
        device = found.get("device")
        columns = found | {
            "path": str(self.path),
            "run_diverged": bool(found.get("diverged", False)),
            "device": device.get("name") if isinstance(device, Mapping) else device,
            "commit": (found.get("git") or {}).get("commit"),
        }
        return columns[name] if name in columns else self.value(name)


def find_runs(
    root: str | Path, where: Mapping[str, Any] | None = None, *, check_source: bool = True
) -> list[StoredRun]:
    """The runs under `root`, sorted by experiment, variant and seed.

    Args:
        root: a `runs` directory, `<root>/<experiment>/<variant>/seed=<k>/`.
        where: run columns or dotted config keys, each with the value or the values it may have.
        check_source: call a run `stale` whose numeric source (the manifest's `source_modules` and
            what they import) is not what this checkout holds.
    """
    runs = []
    for file in sorted(Path(root).glob(f"*/*/seed=[0-9]*/{files.MANIFEST}")):
        run = read_run(file.parent, check_source=check_source)
        try:
            if all(_matches(run.column(key), wanted) for key, wanted in (where or {}).items()):
                runs.append(run)
        except UserError:  # what it would be chosen by cannot be read
            runs.append(replace(run, status="damaged"))
    return sorted(runs, key=lambda run: (run.experiment, run.variant, run.seed))


def read_run(path: Path, *, check_source: bool = True) -> StoredRun:
    """The run of one directory, as of `find_runs`."""
    manifest = intact_manifest(path)
    source = current_source(manifest) if check_source else None
    experiment, variant, seed = path.parts[-3:]
    named = HASH_ENDING.search(variant)
    return StoredRun(
        path,
        manifest,
        status(path, named[1] if named else None, source),
        manifest.get("experiment", experiment),
        manifest.get("variant", variant),
        manifest.get("method", variant.rsplit("-", 1)[0]),
        int(manifest.get("seed", seed.removeprefix("seed="))),
    )


def load_runs(
    root: str | Path = OUTPUTS / "runs",
    where: Mapping[str, Any] | None = None,
    config: Sequence[str] = (),
    *,
    check_source: bool = True,
) -> pd.DataFrame:
    """All stored interval records under `root`, one row each, with columns that name their run.

    `root` is by default where `glocal train` writes in the same working directory.

    What is damaged, not as it was written, is left out with a warning that names it.

    The columns are those of metrics.csv (`outer_step`, `step`, `test_accuracy`,
    `hyperparameter/...`), `RUN_COLUMNS`, and `config/<key>` for every dotted key of `config`.
    `diverged` is the record's; whether the run ever diverged is `run_diverged`.
    """
    frames = []
    for run in find_runs(root, where, check_source=check_source):
        try:
            frame = run.metrics()
        except UserError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        if broken := run.damage:
            warnings.warn(f"left out: {run.path}: {broken}; run it again", stacklevel=2)
            continue
        named = {name: run.column(name) for name in RUN_COLUMNS}
        named |= {f"config/{key}": run.value(key) for key in config}
        if "seed" not in frame:
            named["seed"] = run.seed
        extra = pd.DataFrame([named] * len(frame), index=frame.index)
        frames.append(pd.concat([extra, frame.drop(columns=list(named), errors="ignore")], axis=1))
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=RUN_COLUMNS)


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Collection) and not isinstance(wanted, str | bytes):
        return value in list(wanted)
    return value == wanted


def current_source(manifest: Mapping[str, Any]) -> str | None:
    """The hash that a run of this manifest's modules would have now; None if it names none."""
    modules = manifest.get("source_modules")
    try:
        return source_fingerprint(modules) if modules else None
    except ValueError:
        return "a module is gone"
