"""Reading stored runs back, without JAX: as objects, or all of them as one DataFrame."""

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from glocal_exp.errors import UserError
from glocal_exp.places import OUTPUTS
from glocal_exp.store import files
from glocal_exp.store.directory import ARRAYS
from glocal_exp.store.fingerprint import source_fingerprint
from glocal_exp.store.index import Entry, ends, read_index, stamp, write_index
from glocal_exp.store.lock import holder
from glocal_exp.store.seal import damage, intact_manifest
from glocal_exp.store.status import Status, intact_status, is_replayed, status

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""With libyaml ten times as fast, which hundreds of runs make felt."""
HASH_ENDING = re.compile(r"(?:^|-)([0-9a-f]{8})$")
"""The config hash in a variant's name, if it has one."""
SEED = re.compile(r"^seed: (\d+)$", re.MULTILINE)
"""The line of a config that tells a seed from the others."""
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
    known: Entry = field(default_factory=dict, repr=False)
    """What the index has of it, or at least its stamp."""

    @property
    def entry(self) -> dict[str, Any]:
        """What the index is to have of it: if it is complete, all that has been asked for."""
        if self.status not in ("complete", "stale") or self.manifest.get("status") != "complete":
            return {}
        asked = {name: self.__dict__[name] for name in ("config", "ends") if name in self.__dict__}
        return {**self.known, "manifest": self.manifest, **asked}

    @cached_property
    def ends(self) -> dict[str, Any]:
        """See `store.index.ends`; a `UserError` for damage."""
        if "ends" in self.known:
            return self.known["ends"]
        return ends(files.read_rows(self.path / files.METRICS))

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml as plain values; empty when absent."""
        if "config" in self.known:
            return self.known["config"]
        file = self.path / files.CONFIG
        try:
            text = file.read_text(encoding="utf-8")
            seed = SEED.search(text)
            # Seeds of one variant have all else in common, and parsing takes its time.
            return _parsed(SEED.sub("", text)) | ({"seed": int(seed[1])} if seed else {})
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise files.cannot_read(file, error) from error

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
        found = (at(source, key) for source in (self.config, self.manifest))
        return next((value for value in found if value is not None), default)

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


_seen: dict[Path, Entry] = {}
"""What an index has, of all runs that this process has looked at: figures ask for them often."""


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
    runs, index = [], read_index(Path(root))
    for path in run_directories(root):
        known = index.get("/".join(path.parts[-3:])) or _seen.get(path)
        run = read_run(path, check_source=check_source, known=known)
        _seen[path] = run.entry
        try:
            if all(_matches(run.column(key), wanted) for key, wanted in (where or {}).items()):
                runs.append(run)
        except UserError:  # what it would be chosen by cannot be read
            runs.append(replace(run, status="damaged"))
    return sorted(runs, key=lambda run: (run.experiment, run.variant, run.seed))


def run_directories(root: str | Path) -> list[Path]:
    """Those below `root` that hold a run, or what is left of one that has lost its manifest."""
    return [path for path in sorted(Path(root).glob("*/*/seed=[0-9]*")) if files.are_in(path)]


def read_run(path: Path, *, check_source: bool = True, known: Entry | None = None) -> StoredRun:
    """The run of one directory, as of `find_runs`; `known` is what the index has of it."""
    unchanged = known and known.get("stamp") == stamp(path, known.get("manifest") or {})
    manifest = known["manifest"] if known and unchanged else intact_manifest(path)
    # Before its files are looked at: what changes later is seen by the next who asks.
    known = known if known and unchanged else {"stamp": stamp(path, manifest)}
    source = current_source(manifest) if check_source else None
    experiment, variant, seed = path.parts[-3:]
    named = HASH_ENDING.search(variant)
    config = named[1] if named else None
    judge = (
        partial(intact_status, manifest)
        if unchanged and holder(path / files.LOCK) is None
        else partial(status, path)
    )
    return StoredRun(
        path,
        manifest,
        judge(config, source),
        manifest.get("experiment", experiment),
        manifest.get("variant", variant),
        manifest.get("method", variant.rsplit("-", 1)[0]),
        int(manifest.get("seed", re.findall(r"\d+", seed)[0])),
        known,
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
    kept, of, records = [], [], {"seed": []}
    runs = find_runs(root, where, check_source=check_source)
    for run in runs:
        try:
            if broken := run.damage:
                raise UserError(f"{run.path}: {broken}; run it again")
            columns, rows = files.read_table(run.path / files.METRICS)
            named = {name: run.column(name) for name in RUN_COLUMNS}
            named |= {f"config/{key}": run.value(key) for key in config}
        except UserError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        cells: dict[str, Sequence[str]] = {"seed": [str(run.seed)] * len(rows)}
        if rows:
            cells.update(zip(columns, zip(*rows, strict=True), strict=True))
        for name, column in cells.items():
            known = records.setdefault(name, [])
            known += [*[""] * (len(of) - len(known)), *column]
        of += [len(kept)] * len(rows)
        kept.append(named)
    write_index(Path(root), runs)
    if not of:
        return pd.DataFrame(columns=RUN_COLUMNS)
    extra = pd.DataFrame(kept).iloc[of].reset_index(drop=True)
    own = {k: v + [""] * (len(of) - len(v)) for k, v in records.items() if k not in extra}
    return pd.concat([extra, files.frame(own)], axis=1)


def at(node: Any, key: str) -> Any:
    """What a dotted key leads to in nested mappings; None where it leads to nothing."""
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    return yaml.load(text, LOADER) or {}


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


def is_outdated(manifest: Mapping[str, Any]) -> bool:
    """Whether it is of source that is not known to give the numbers of today's."""
    current = current_source(manifest)
    return bool(current) and not is_replayed(manifest.get("source_hash"), str(current))
