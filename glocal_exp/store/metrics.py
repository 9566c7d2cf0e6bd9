"""metrics.csv as text: one row an interval record, every float read back to the same bits."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.store.files import cannot_read


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
    try:
        with open(path, newline="") as file:
            columns, *rows = list(csv.reader(file)) or [[]]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise cannot_read(path, error) from error
    if any(len(row) != len(columns) for row in rows):
        raise cannot_read(path, "a row is torn")
    return [{name: cell for name, cell in zip(columns, row, strict=True) if cell} for row in rows]


def read_frame(path: Path) -> pd.DataFrame:
    """The rows as numbers, floats to the same bits; an empty cell and `nan` are both NaN."""
    rows = read_rows(path)
    columns = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: _column([row.get(name, "") for row in rows]) for name in columns})


def _column(cells: list[str]) -> list[Any]:
    """Booleans, integers or floats, whichever all cells are; text if they are none of these."""
    if set(cells) <= {"True", "False"}:
        return [cell == "True" for cell in cells]
    # Python's own conversion is exact; pandas' is so only in some versions.
    for kind in (int, lambda cell: float(cell or "nan")):
        try:
            return [kind(cell) for cell in cells]
        except ValueError:
            continue
    return cells
