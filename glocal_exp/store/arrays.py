"""Arrays by name in an .npz file."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from glocal_exp.store.files import cannot_read


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name; none when it is absent.

    Raises:
        UserError: it is damaged.
    """
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        return {}
    except Exception as error:  # zipfile, zlib, EOF and value errors: all mean a damaged file
        raise cannot_read(file, error) from error


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of an .npz file; no Python objects, which would be pickled."""
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"array {name} holds Python objects")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{k: np.asarray(v) for k, v in arrays.items()})
    return buffer.getvalue()
