"""Study directories: the units of a study, each stored once as rows and arrays.

`<root>/<study>/<variant>/seed=<k>/` holds manifest.json, config.yaml and, for each unit that is
done, `units/<name>.csv` and perhaps `units/<name>.npz`.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.store import files
from glocal_exp.store.lock import LockedDirectory
from glocal_exp.store.seal import (
    CHECKSUMS,
    changed_files,
    checksums,
    damage,
    intact_manifest,
    is_copy,
    sealed,
)
from glocal_exp.store.status import is_replayed


class StudyDirectory(LockedDirectory):
    """One study, variant and seed.

    Units measured with another config than `facts` say, or with source that is not known to give
    the same numbers (`status.is_replayed`), are set aside, in a folder named after that source:
    they would not fit those to come, but may have taken hours.

    Attributes:
        aside: where units were moved to now, if some were.
    """

    def __init__(self, path: str | Path, facts: Mapping[str, Any], config: str):
        self._facts, self._config = facts, config
        super().__init__(path)

    def _open(self) -> None:
        units, self.aside = self.path / files.UNITS, None
        current = self.manifest.get("config_hash") == self._facts["config_hash"] and is_replayed(
            self.manifest.get("source_hash"), self._facts["source_hash"]
        )
        if not current or sealed(self.manifest) != self.manifest:
            old, self.manifest = self.manifest, dict(self._facts)
            self.update_manifest()  # first: without it what is there would be a stranger's
            if units.exists():
                name = f"{files.UNITS}-{old.get('source_hash', 'unknown')}"
                names = (name if number == 1 else f"{name}-{number}" for number in count(1))
                self.aside = next(p for p in map(self.path.joinpath, names) if not p.exists())
                units.rename(self.aside)
        files.make_directory(units)
        self.write_config(self._config)
        self._update([self.path / files.CONFIG], status="partial")
        self._whole = set(whole_units(self.path))

    def _knows(self, entry: Path) -> bool:
        return entry.name.startswith(files.UNITS) or super()._knows(entry)

    def has(self, unit: str) -> bool:
        """Whether the unit is stored, and was as it was written when this was opened."""
        return unit in self._whole

    def store(
        self, unit: str, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Store a unit, its arrays first: rows that are there have all that belongs to them."""
        contents = {f"{unit}.npz": files.pack_arrays(arrays)} if arrays else {}
        contents[f"{unit}.csv"] = files.format_rows(rows)
        paths = {self.path / files.UNITS / name: content for name, content in contents.items()}
        files.write_together(paths)
        self._update(paths)
        self._whole.add(unit)

    def _update(self, paths: Iterable[Path], **fields: Any) -> None:
        """Set fields of the manifest, with checksums of files that have been written."""
        stored = self.manifest.get(CHECKSUMS) or {}
        self.update_manifest(**fields, checksums=stored | checksums(paths, self.path))


def load_study(root: str | Path, study: str) -> pd.DataFrame:
    """All rows of a study's stored units, with the columns `seed`, `unit` and `folder`.

    Where rows have one of these of their own it stays: `schedule_regret` has a `seed` for each of
    its runs. `folder` is the path of the study directory, for `study_config` and `unit_arrays`. No
    study is an empty frame; what is not as it was written is left out, with a warning that names
    it.
    """
    frames = []
    for folder in study_directories(root, study):
        manifest = intact_manifest(folder)
        if broken := damage(folder, manifest):
            warnings.warn(f"left out of {folder}: {broken}; measure it again", stacklevel=2)
        for unit in whole_units(folder):
            rows = unit_rows(folder, unit)
            place = {"unit": unit, "folder": str(folder), "seed": manifest["seed"]}
            frames.append(rows.assign(**{k: v for k, v in place.items() if k not in rows}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def study_directories(root: str | Path, study: str = "*") -> list[Path]:
    """Those of one study, or all."""
    return [path for path in sorted(Path(root).glob(f"{study}/*/*")) if files.are_in(path)]


def whole_units(folder: Path) -> list[str]:
    """Those all of whose files, and whose config, are as they were written."""
    manifest = intact_manifest(folder)
    broken = changed_files(folder, manifest)
    if is_copy(folder, manifest) or files.CONFIG in broken:
        return []
    stored = {Path(name).stem for name in manifest.get(CHECKSUMS) or {}}
    lost = {Path(name).stem for name in broken}
    return sorted(stored - lost - {Path(files.CONFIG).stem})


def unit_rows(folder: str | Path, unit: str) -> pd.DataFrame:
    """The rows of a stored unit."""
    return files.read_frame(Path(folder) / files.UNITS / f"{unit}.csv")


def unit_arrays(folder: str | Path, unit: str) -> dict[str, np.ndarray]:
    """The arrays of a stored unit by name; none when it has none."""
    return files.read_arrays(Path(folder) / files.UNITS / f"{unit}.npz")


def study_config(folder: str | Path) -> Any:
    """The resolved config of a study's (or a run's) directory; `UserError` for damage."""
    file = Path(folder) / files.CONFIG
    try:
        return OmegaConf.load(file)
    except Exception as error:
        raise files.cannot_read(file, error) from error
