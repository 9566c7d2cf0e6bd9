"""The embedded data set, so that everything runs without any download (see `bundled/README.md`)."""

import io
from dataclasses import dataclass, replace
from importlib import resources
from typing import ClassVar

import numpy as np

from glocal_exp.data.checksums import assemble, md5
from glocal_exp.data.source import DatasetSpec, FileCheck, ImageData, RawImages
from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Bundled:
    """A class-balanced part of a data set that is shipped with the package."""

    # so many of its training images are for testing, too: the first in the canonical order, which
    # is that of their hashes
    more_test: int = 0
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
        data = assemble(spec, raw, self.name, path.name)
        return self._with_more_test(data) if self.more_test else data

    def _with_more_test(self, data: ImageData) -> ImageData:
        """The same images, parted in another way."""
        more, total = self.more_test, len(data.train_labels)
        if not 0 < more < total:
            raise UserError(f"source.more_test={more} is not from 1 to {total - 1:,}; change it.")
        raw = RawImages(
            data.train_images[more:],
            data.train_labels[more:],
            np.concatenate([data.test_images, data.train_images[:more]]),
            np.concatenate([data.test_labels, data.train_labels[:more]]),
            data.files,
        )
        notice = f"{data.notice}, {more:,} of the training images for testing"
        return replace(assemble(data.spec, raw, self.name, data.place), notice=notice)
