"""A run directory, written by the one process that holds its lock."""

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.records import IntervalRecord
from glocal_exp.store import files
from glocal_exp.store.lock import LockedDirectory
from glocal_exp.store.manifest import utc_now
from glocal_exp.store.seal import checksums, damage

ARRAYS, WEIGHTS, CHECKPOINTS, ASIDE = "arrays.npz", "weights.npz", "checkpoint", "damaged"
CONTENTS = (files.CONFIG, files.METRICS, ARRAYS, WEIGHTS)
CHECKPOINT = re.compile(r"\d{8}\.ckpt|\.\d{8}\.ckpt\.\d+\.tmp")
MAGIC = b"glocal-checkpoint-2\n"
KEPT = 2


def run_path(root: str | Path, experiment: str, variant: str, seed: int) -> Path:
    """`<root>/<experiment>/<variant>/seed=<k>`; the variant is `<method>-<config_hash>`."""
    return Path(root) / experiment / variant / f"seed={seed}"


class RunDirectory(LockedDirectory):
    """Everything that one run leaves behind, written by the one process that holds its lock.

    A checkpoint `checkpoint/<count>.ckpt` is a magic line, SHA-256, a line that says whose it is,
    and the engine's bytes, so that a torn one is never trusted, nor another run's. After a kill
    metrics.csv may be ahead: `truncate` takes it back.
    """

    def _open(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._arrays: dict[str, np.ndarray] = {}
        self._is_torn = False
        if not self.manifest or damage(self.path, self.manifest):
            return  # what is there is set aside
        try:
            rows = files.read_rows(self.path / files.METRICS)
            arrays = files.read_arrays(self.path / ARRAYS)
            _ = [int(row["outer_step"]) for row in rows], [_outer_step(name) for name in arrays]
            self._rows, self._arrays = rows, arrays
        except (UserError, KeyError, ValueError):
            self._is_torn = True

    def _is_ours(self) -> bool:
        # beside what has been set aside there is what has not been yet
        return super()._is_ours() or (self.path / ASIDE).is_dir()

    def _knows(self, entry: Path) -> bool:
        if entry.name == CHECKPOINTS and entry.is_dir() and not entry.is_symlink():
            return all(CHECKPOINT.fullmatch(e.name) for e in entry.glob("*"))
        return entry.name in (*CONTENTS, ASIDE) or super()._knows(entry)

    def clear(self, *, keep: bool = False) -> None:
        """Delete what is stored, to start afresh: a stale or failed run.

        Args:
            keep: move it to a folder `damaged/<count>` instead.
        """
        try:
            self._refuse_others()
            asides = (self.path / ASIDE / str(number) for number in count(1))
            aside = next(folder for folder in asides if not folder.exists())
            if keep:
                files.make_directory(aside)
            # The manifest goes last: without it what is left would be a stranger's.
            entries = sorted(self.path.iterdir(), key=lambda entry: entry.name == files.MANIFEST)
            for entry in (e for e in entries if e.name not in (files.LOCK, ASIDE)):
                if keep:
                    entry.rename(aside / entry.name)
                elif entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        except OSError as error:
            raise files.cannot_write(self.path, error) from error
        self.manifest, self._rows, self._arrays = {}, [], {}

    def complete(self, **fields: Any) -> None:
        """Mark the run complete, with checksums of its files, and delete its checkpoints."""
        contents = [self.path / name for name in CONTENTS if (self.path / name).exists()]
        done = {"status": "complete", "error": None, "ended": utc_now()}
        self.update_manifest(**done | fields, checksums=checksums(contents, self.path))
        discard_checkpoints(self.path)

    # records

    @property
    def last_outer_step(self) -> int | None:
        """The outer step of the last stored record, None before the first."""
        return int(self._rows[-1]["outer_step"]) if self._rows else None

    def append(self, record: IntervalRecord) -> None:
        """Store a record, its arrays first: a row never points to arrays that are not there."""
        last = self.last_outer_step
        if last is not None and record.outer_step <= last:
            raise ValueError(f"outer step {record.outer_step} after {last}: truncate first")
        if record.arrays:
            prefix = f"s{record.outer_step}/"
            kept = {prefix + name: np.asarray(value) for name, value in record.arrays.items()}
            self._write_arrays(self._arrays | kept)
        self._write_rows([*self._rows, record.row()])

    def truncate(self, outer_step: int | None) -> None:
        """Keep the records up to and with `outer_step`, None nothing; `UserError` if some lack."""
        rows, arrays = self._up_to(outer_step)
        if outer_step is not None and (not rows or int(rows[-1]["outer_step"]) != outer_step):
            raise UserError(
                f"{self.path / files.METRICS} lacks the records up to outer step {outer_step} of "
                "its checkpoint; delete the run directory and run it again"
            )
        if len(rows) != len(self._rows):
            self._write_rows(rows)
        if len(arrays) != len(self._arrays):
            self._write_arrays(arrays)

    def save_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """The final weights, by name."""
        files.write_atomically(self.path / WEIGHTS, files.pack_arrays(weights))

    # checkpoints

    def save_checkpoint(self, content: bytes) -> None:
        """Add a checkpoint and keep the last two."""
        older = self._newest_first()
        path = self.path / CHECKPOINTS / f"{int(older[0].stem) + 1 if older else 1:08d}.ckpt"
        files.make_directory(path.parent)
        owner = [*self._owner(), *self._records(self.last_outer_step)]
        content = json.dumps(owner).encode() + b"\n" + content
        files.write_atomically(path, MAGIC + hashlib.sha256(content).digest() + content)
        for old in [path, *older][KEPT:]:
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)

    def load_checkpoints(self) -> Iterator[bytes]:
        """The stored checkpoints, newest first; left out are torn or corrupt ones, and those whose
        records have changed.

        Raises:
            UserError: one is another run's.
        """
        start = len(MAGIC) + hashlib.sha256().digest_size
        for path in self._newest_first():
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if content[:start] != MAGIC + hashlib.sha256(content[start:]).digest():
                continue
            line, _, blob = content[start:].partition(b"\n")
            owner = json.loads(line)
            if owner[:3] != self._owner():
                raise UserError(f"{path} is of another run or other images; delete that file.")
            if owner[3:] in ([], self._records(*owner[3:4])):  # of older ones nothing is known
                yield blob

    @property
    def has_lost_its_place(self) -> bool:
        """Whether records cannot be read, or there are checkpoints but none to go on from."""
        checkpoints = self._is_torn or self._newest_first()
        return bool(checkpoints) and not any(self.load_checkpoints())

    def _owner(self) -> list[Any]:
        """Whose a checkpoint is."""
        images = (self.manifest.get("data") or {}).get("fingerprint")
        return [self.manifest.get("config_hash"), self.manifest.get("seed"), images]

    def _records(self, outer_step: int | None = None) -> list[Any]:
        """What tells records up to and with `outer_step` from others."""
        rows, arrays = self._up_to(outer_step)
        texts = [{name: files.format_cell(cell) for name, cell in row.items()} for row in rows]
        cells = [sorted((name, text) for name, text in row.items() if text) for row in texts]
        found = hashlib.sha256(json.dumps(cells).encode())
        for name, array in sorted(arrays.items()):
            found.update(f"{name}{array.shape}{array.dtype}".encode() + array.tobytes())
        return [outer_step, found.hexdigest()]

    def _up_to(self, outer_step: int | None) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
        """Rows and arrays up to and with `outer_step`, None for nothing."""
        limit = -1 if outer_step is None else outer_step
        rows = [row for row in self._rows if int(row["outer_step"]) <= limit]
        arrays = {key: value for key, value in self._arrays.items() if _outer_step(key) <= limit}
        return rows, arrays

    def _newest_first(self) -> list[Path]:
        found = (self.path / CHECKPOINTS).glob("*.ckpt")
        numbered = [path for path in found if path.stem.isdecimal()]
        return sorted(numbered, key=lambda path: int(path.stem), reverse=True)

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        files.write_atomically(self.path / files.METRICS, files.format_rows(rows))
        self._rows = rows

    def _write_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        files.write_atomically(self.path / ARRAYS, files.pack_arrays(arrays))
        self._arrays = arrays


def discard_checkpoints(path: Path) -> None:
    """Delete those of a complete run; a failure is left for the next time."""
    with contextlib.suppress(OSError):
        for entry in (path / CHECKPOINTS).iterdir():
            if CHECKPOINT.fullmatch(entry.name):
                entry.unlink()
        (path / CHECKPOINTS).rmdir()


def _outer_step(key: str) -> int:
    return int(key.split("/")[0].removeprefix("s"))
