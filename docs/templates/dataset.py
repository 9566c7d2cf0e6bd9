"""A template: a data set in one NumPy archive (glocal_exp/data/<id>.py)."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glocal_exp.data.checksums import check
from glocal_exp.data.files import read_bytes, unlike
from glocal_exp.data.source import DatasetSpec, RawImages


@dataclass(frozen=True)
class Archive:
    """`x_train`, `y_train`, `x_test` and `y_test`: bytes (n, height, width, channels), labels (n,).

    Attributes:
        file: its name in the folder `data_dir`.
    """

    file: str

    def describe(self) -> str:
        """What `find` looks for, for a sentence."""
        return self.file

    def find(self, data_dir: Path) -> Path | None:
        """The file, if it is there."""
        return data_dir / self.file if (data_dir / self.file).is_file() else None

    def read(self, place: Path, spec: DatasetSpec) -> RawImages:
        """All images; `check` refuses those that are not as the YAML file says."""
        parts = []
        try:
            with np.load(io.BytesIO(read_bytes(place))) as archive:
                for part in ("train", "test"):
                    parts += [archive[f"x_{part}"], archive[f"y_{part}"].astype(np.int32)]
        except (KeyError, OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise unlike(place, f"is no archive of images ({error})") from error
        check(spec, *parts[:2], f"the training part of {place}")
        check(spec, *parts[2:], f"the test part of {place}")
        return RawImages(*parts)
