"""Study directories: the units of a study, each stored once as rows and arrays.

`<root>/<study>/<variant>/seed=<k>/` holds manifest.json, config.yaml and, for each unit that is
done, `units/<name>.csv` and perhaps `units/<name>.npz`.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.store import files
from glocal_exp.store.lock import LockedDirectory

UNITS = "units"
HASHES = ("config_hash", "source_hash")


class StudyDirectory(LockedDirectory):
    """One study, variant and seed.

    Units measured with another config or source than `facts` say are set aside, in a folder named
    after that source: they would not fit those to come, but may have taken hours.
    """

    def __init__(self, path: str | Path, facts: Mapping[str, Any], config: str):
        self._facts, self._config = facts, config
        super().__init__(path)

    def _open(self) -> None:
        units = self.path / UNITS
        if any(self.manifest.get(name) != self._facts[name] for name in HASHES):
            if units.exists():
                aside = self.path / f"{UNITS}-{self.manifest.get('source_hash', 'unknown')}"
                shutil.rmtree(aside, ignore_errors=True)
                units.rename(aside)
            self.manifest = dict(self._facts)
        files.make_directory(units)
        self.write_config(self._config)
        self.update_manifest(status="partial")

    def has(self, unit: str) -> bool:
        """Whether the unit is stored."""
        return self._file(unit, "csv").exists()

    def store(
        self, unit: str, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Store a unit, its arrays first: rows that are there have all that belongs to them."""
        if arrays:
            files.write_atomically(self._file(unit, "npz"), files.pack_arrays(arrays))
        files.write_atomically(self._file(unit, "csv"), files.format_rows(rows))

    def _file(self, unit: str, ending: str) -> Path:
        return self.path / UNITS / f"{unit}.{ending}"


def load_study(root: str | Path, study: str) -> pd.DataFrame:
    """All rows of a study's stored units, with the columns `seed`, `unit` and `folder`.

    `folder` is the path of the study directory, for `study_config` and `unit_arrays`. No study is
    an empty frame, and a damaged file a `UserError`.
    """
    frames = []
    for manifest in sorted(Path(root, study).glob(f"*/*/{files.MANIFEST}")):
        folder, seed = manifest.parent, (files.read_manifest(manifest.parent) or {}).get("seed")
        for file in sorted((folder / UNITS).glob("*.csv")):
            rows = files.read_frame(file)
            frames.append(rows.assign(unit=file.stem, folder=str(folder), seed=seed))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def unit_arrays(folder: str | Path, unit: str) -> dict[str, np.ndarray]:
    """The arrays of a stored unit by name; none when it has none."""
    return files.read_arrays(Path(folder) / UNITS / f"{unit}.npz")


def study_config(folder: str | Path) -> Any:
    """The resolved config of a study's (or a run's) directory; `UserError` for damage."""
    file = Path(folder) / files.CONFIG
    try:
        return OmegaConf.load(file)
    except Exception as error:
        raise files.cannot_read(file, error) from error
