"""Study directories: the units of a study, each stored once as rows and arrays.

`<root>/<study>/<variant>/seed=<k>/` holds manifest.json, config.yaml and, for each unit that is
done, `units/<name>.csv` and perhaps `units/<name>.npz`.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.errors import UserError
from glocal_exp.store.directory import CONFIG, pack_arrays, read_arrays
from glocal_exp.store.files import (
    make_directory,
    remove_temporaries,
    write_atomically,
)
from glocal_exp.store.lock import RunLock
from glocal_exp.store.metrics import format_cell, format_rows, read_frame
from glocal_exp.store.status import LOCK, MANIFEST, read_manifest

UNITS = "units"
HASHES = ("config_hash", "source_hash")


class StudyDirectory:
    """One study, variant and seed; a context manager that holds the directory's lock.

    Units measured with another config or source than `facts` say are set aside, in a folder named
    after that source: they would not fit those to come, but may have taken hours.

    Raises:
        UserError: another process holds the directory, or it cannot be written.
    """

    def __init__(self, path: str | Path, facts: Mapping[str, Any], config: str):
        self.path = Path(path)
        make_directory(self.path)
        self._lock = RunLock(self.path / LOCK)
        with self._lock.opening():
            remove_temporaries(self.path)
            self._manifest = read_manifest(self.path) or {}
            if any(self._manifest.get(name) != facts[name] for name in HASHES):
                self._set_aside()
                self._manifest = dict(facts)
            make_directory(self.path / UNITS)
            write_atomically(self.path / CONFIG, config.encode())
            self.update_manifest(status="partial")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def update_manifest(self, **fields: Any) -> None:
        """Set or replace fields of manifest.json."""
        self._manifest |= fields
        write_atomically(
            self.path / MANIFEST, json.dumps(self._manifest, indent=2).encode() + b"\n"
        )

    def has(self, unit: str) -> bool:
        """Whether the unit is stored."""
        return self._file(unit, "csv").exists()

    def store(
        self, unit: str, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Store a unit, its arrays first: rows that are there have all that belongs to them."""
        if arrays:
            write_atomically(self._file(unit, "npz"), pack_arrays(arrays))
        cells = [{name: format_cell(value) for name, value in row.items()} for row in rows]
        write_atomically(self._file(unit, "csv"), format_rows(cells))

    def _set_aside(self) -> None:
        units, old = self.path / UNITS, self._manifest.get("source_hash", "unknown")
        if units.exists():
            aside = self.path / f"{UNITS}-{old}"
            shutil.rmtree(aside, ignore_errors=True)
            units.rename(aside)

    def _file(self, unit: str, ending: str) -> Path:
        return self.path / UNITS / f"{unit}.{ending}"


def load_study(root: str | Path, study: str) -> pd.DataFrame:
    """All rows of a study's stored units, with the columns `seed`, `unit` and `folder`.

    `folder` is the path of the study directory, for `config_value` and `unit_arrays`. No study is
    an empty frame.

    Raises:
        UserError: a file is damaged.
    """
    frames = []
    for folder in _folders(Path(root) / study):
        manifest = read_manifest(folder) or {}
        for file in sorted((folder / UNITS).glob("*.csv")):
            frame = read_frame(file)
            frame["unit"], frame["folder"] = file.stem, str(folder)
            frame["seed"] = manifest.get("seed")
            frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def unit_arrays(folder: str | Path, unit: str) -> dict[str, np.ndarray]:
    """The arrays of a stored unit by name; none when it has none."""
    return read_arrays(Path(folder) / UNITS / f"{unit}.npz")


def study_config(folder: str | Path) -> Any:
    """The resolved config of a study directory, to be read by `OmegaConf.select`.

    Raises:
        UserError: it is not readable.
    """
    file = Path(folder) / CONFIG
    try:
        return OmegaConf.load(file)
    except Exception as error:
        raise UserError(f"cannot read {file} ({error}); run the study again") from error


def _folders(root: Path) -> Iterator[Path]:
    for manifest in sorted(root.glob(f"*/*/{MANIFEST}")):
        yield manifest.parent
