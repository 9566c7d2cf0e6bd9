"""Files of runs and studies: a reader finds the old content or the new, whatever happens between.

metrics.csv has one row an interval record, and every float is read back to the same bits.
"""

import contextlib
import csv
import errno
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
ELSEWHERE = "choose another output_dir (in Python: store)"
# In the directory of a run or a study.
MANIFEST, CONFIG, METRICS, LOCK = "manifest.json", "config.yaml", "metrics.csv", "lock"
UNITS = "units"  # of a study, a folder
TEMPORARY = re.compile(r"\.[\w.=-]+\.(json|yaml|csv|npz|ckpt)\.\d+\.tmp")
"""What a killed process of this program may leave behind."""


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace `path` by `content`: written beside it, synced to disk, then renamed.

    A full disk or a closed directory is a `UserError`, and `path` as it was.
    """
    write_together({Path(path): content})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Replace several files of a folder, none before all have been written: a disk may fill up."""
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    path = Path()
    try:
        for path, temporary in temporaries.items():
            with open(temporary, "wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def make_directory(path: str | Path) -> None:
    """Create `path` and its parents; a UserError names what stands in the way."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(Path(path), error) from error


def remove_temporaries(directory: Path) -> None:
    """Remove what a killed process left behind; only the holder of the run's lock may call it."""
    for leftover in directory.rglob(".*.tmp"):
        if TEMPORARY.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence for a failed write: what is wrong, and what to do about it."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    advice = f"{ELSEWHERE} or repair the disk"
    if error.errno in FULL:
        reason = "the disk is full or over its quota"
        advice = (
            "free some space and give the same command again, it goes on from the last checkpoint"
        )
    elif error.errno in DENIED:
        reason, advice = reason.lower(), f"{ELSEWHERE} or change the directory's permissions"
    elif error.errno in IN_THE_WAY:
        reason = "a file is where a directory should be, or the other way round"
        advice = f"move it away or {ELSEWHERE}"
    return UserError(f"cannot write {path}: {reason}; {advice}")


def cannot_read(path: Path, error: Exception | str) -> UserError:
    """The sentence for a damaged file of a run or a study."""
    return UserError(f"cannot read {path} ({error}); delete its run directory and run it again")


def are_in(directory: str | Path) -> bool:
    """Whether a run or a study is stored there, be it one that has lost its manifest."""
    return any(os.path.exists(Path(directory) / name) for name in (MANIFEST, METRICS, UNITS))


def read_manifest(directory: str | Path) -> dict[str, Any] | None:
    """The manifest of a run or a study; None when it is absent or not readable."""
    try:
        manifest = json.loads((Path(directory) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) else None


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, none when it is absent; `UserError` for damage."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        return {}
    except Exception as error:  # zipfile, zlib, EOF and value errors: all mean a damaged file
        raise cannot_read(file, error) from error


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of an .npz file; no Python objects, which would be pickled."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def format_cell(value: Any) -> str:
    """The shortest text that reads back to the same value; NaN is `nan`."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.item()
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def format_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The whole file; columns in the order in which the rows first name them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: format_cell(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue().encode()


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows as text, without their empty cells; no file is no row, damage a `UserError`."""
    columns, rows = read_table(path)
    return [{name: cell for name, cell in zip(columns, row, strict=True) if cell} for row in rows]


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The columns, and the cells of each row, all of them; see `read_rows`."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            columns, *rows = list(csv.reader(file)) or [[]]
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise cannot_read(path, error) from error
    if any(len(row) != len(columns) for row in rows):
        raise cannot_read(path, "a row is torn")
    return columns, rows


def read_frame(path: Path) -> pd.DataFrame:
    """The rows as numbers, floats to the same bits; an empty cell and `nan` are both NaN."""
    columns, rows = read_table(path)
    return frame(dict(zip(columns, zip(*rows, strict=True), strict=True) if rows else {}))


def frame(columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Columns of text, each as the one type that its cells have; without those of no cell."""
    return pd.DataFrame({name: _column(cells) for name, cells in columns.items() if any(cells)})


def _column(cells: Sequence[str]) -> Sequence[Any]:
    """Booleans, integers or floats, whichever all cells are; text if they are none of these."""
    nothing, logical = float("nan"), {"True", "False", ""}
    if cells[0] in logical and set(cells) <= logical:
        return [cell == "True" if cell else nothing for cell in cells]
    if "_" in "".join(cells):  # a name, though 1_000 is a number to Python
        return cells
    # Python's own conversion is exact; pandas' is so only in some versions.
    with contextlib.suppress(ValueError):
        return list(map(int, cells))
    with contextlib.suppress(ValueError):
        return [float(cell) if cell else nothing for cell in cells]
    return cells
