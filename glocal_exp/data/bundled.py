"""The embedded data set, so that everything runs without any download (see `bundled/README.md`)."""

import io
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar

import numpy as np

from glocal_exp.data.checksums import assemble, md5
from glocal_exp.data.source import DatasetSpec, FileCheck, ImageData, RawImages
from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Bundled:
    """A class-balanced part of a data set that is shipped with the package."""

    name: ClassVar[str] = "bundled"

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if an embedded part of this data set exists."""
        return None if spec.bundled else f"{spec.title} is not embedded"

    def load(self, spec: DatasetSpec) -> ImageData:
        """The embedded part; its notice says that it is one."""
        if spec.bundled is None:
            raise UserError(f"{spec.title} is not embedded: use source=files or source=tfds.")
        path = resources.files("glocal_exp.data") / "bundled" / spec.bundled
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} is missing: install glocal_exp again.") from error
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            raw = RawImages(**arrays, files={spec.bundled: FileCheck(md5(content), None)})
        return assemble(spec, raw, self.name, path.name)
