"""What a data set is, what a source of it gives, and the source that takes the first one there.

A source knows where images lie, a file format knows how to read them, and a `DatasetSpec` says
which files, which TFDS name and which checksums are those of one data set. None of the three knows
the others' kin, so each can be added alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from jaxtyping import Integer, UInt8

from glocal_exp.data.imbalance import LongTail
from glocal_exp.errors import UserError

Images = UInt8[np.ndarray, "n h w c"]
Labels = Integer[np.ndarray, " n"]


@dataclass(frozen=True)
class FileCheck:
    """One file that was read: its md5, and whether that is the published one (None: none is)."""

    md5: str
    original: bool | None


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images and labels as a format or a source reads them, in whatever order they lie there."""

    train_images: Images
    train_labels: Labels
    test_images: UInt8[np.ndarray, "m h w c"]
    test_labels: Integer[np.ndarray, " m"]
    files: Mapping[str, FileCheck] = field(default_factory=dict)


class FileFormat(Protocol):
    """How the original files are found and read (`idx.IdxFiles`, `cifar.CifarFiles`)."""

    def find(self, data_dir: Path) -> Path | None:
        """The place at or below `data_dir` that holds at least one of the files."""
        ...

    def read(self, place: Path, spec: "DatasetSpec") -> RawImages:
        """All images; raises `UserError` for a missing, damaged or mislabelled file."""
        ...

    def describe(self) -> str:
        """The files and folders that `find` looks for, for a sentence."""
        ...


@dataclass(frozen=True)
class DatasetSpec:
    """What a data set is."""

    name: str  # the id that users type
    title: str  # the name that captions print
    num_classes: int  # labels run from 0 to `num_classes` - 1
    image_shape: Sequence[int]  # height, width, channels
    format: FileFormat | None = None  # reader of the original files; None if only TFDS has them
    tfds: str | None = None  # its name in TensorFlow Datasets, or None
    bundled: str | None = None  # its embedded file in `glocal_exp/data/bundled`, or None
    # content digests (`checksums.content_digest`) of what may be found under this name: this data
    # set (its title), known copies ("title (copy)"), and others whose files have the same names,
    # which are refused
    contents: Mapping[str, str] = field(default_factory=dict)
    imbalance: LongTail | None = None  # how its training part is thinned out, if it is


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageData(RawImages):
    """A whole data set, in canonical order: the same from every source; labels are int32.

    Attributes:
        spec: what it is.
        source: the source that it was read from ("files", "tfds", "bundled").
        place: the folder or file that it was read from.
        files: md5 and recognition of each file, by name.
        content: digest of all images and labels, independent of order and container.
        original: known to be the original data set, or nothing to compare with is published.
        recognised_by: how that was decided.
        notice: "" for the original, else what captions must call it.
        skipped: for `source=auto`, why the sources before this one were passed over.
    """

    spec: DatasetSpec
    source: str
    place: str
    content: str
    original: bool
    recognised_by: str
    notice: str
    skipped: Sequence[str] = ()

    @property
    def title(self) -> str:
        return self.spec.title


class Source(Protocol):
    """Where data sets are read from; one that may be absent says so before anything is read."""

    name: ClassVar[str]

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if the data set is there, else a clause that says why it is not."""
        ...

    def load(self, spec: DatasetSpec) -> ImageData:
        """The data set; raises `UserError` if it is absent, damaged or not what it is called."""
        ...


@dataclass(frozen=True)
class Auto:
    """The first of several sources where the data set is there, damaged or not."""

    sources: Sequence[Source]
    name: ClassVar[str] = "auto"

    def absence(self, spec: DatasetSpec) -> str | None:
        """None if any source has it."""
        source, skipped = self._first(spec)
        return None if source else "; ".join(skipped)

    def load(self, spec: DatasetSpec) -> ImageData:
        """The data set from the first source that has it; `source` of the result says which."""
        source, skipped = self._first(spec)
        if source is None:
            raise UserError(
                f"{spec.title} was not found ({'; '.join(skipped)}): set data_dir to the folder of"
                " its original files, or download it with source=tfds."
            )
        return replace(source.load(spec), skipped=skipped)

    def _first(self, spec: DatasetSpec) -> tuple[Source | None, tuple[str, ...]]:
        """The first source that has it, and why those before it have not."""
        skipped: tuple[str, ...] = ()
        for source in self.sources:
            if (reason := source.absence(spec)) is None:
                return source, skipped
            skipped += (f"{source.name}: {reason}",)
        return None, skipped
