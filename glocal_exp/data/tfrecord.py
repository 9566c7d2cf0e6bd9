"""Turns a TFDS directory prepared as TFRecord into one that is also readable as ArrayRecord.

TFDS's own `tfds convert_format` needs Apache Beam and TensorFlow; the records themselves are the
same in both formats, so copying them needs neither.
"""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from glocal_exp.data.tfds import ARRAY_RECORD, EXTRA, described, missing_packages
from glocal_exp.errors import UserError


def convert(folder: Path) -> list[Path]:
    """Write an ArrayRecord shard beside each TFRecord shard, and say so in `dataset_info.json`.

    Returns the shards written. Raises `UserError` for a folder or a shard that cannot be converted.
    """
    if missing_packages("array_record"):
        raise UserError(f"Converting needs array_record: install {EXTRA}.")
    info = folder / "dataset_info.json"
    prepared = described(info) if info.is_file() else None
    if prepared is None or "tfrecord" not in prepared.file_formats:
        raise UserError(
            f"{folder} is no version prepared as TFRecord: give a folder such as mnist/3.0.1 that"
            " holds dataset_info.json."
        )
    content = json.loads(info.read_text())
    expected = sum(int(n) for part in content["splits"] for n in part["shardLengths"])
    shards = sorted(folder.glob("*.tfrecord-*-of-*"))
    targets = [folder / s.name.replace(".tfrecord-", f".{ARRAY_RECORD}-") for s in shards]
    partials = [target.with_name(f"partial.{target.name}") for target in targets]
    try:
        count = sum(map(copy_records, shards, partials))
        if count != expected:
            raise UserError(
                f"{folder} holds {count:,} records, not {expected:,} as it says: prepare it again."
            )
        for partial, target in zip(partials, targets, strict=True):
            os.replace(partial, target)
        content["alternativeFileFormats"] = [ARRAY_RECORD]
        replace(info, json.dumps(content, indent=2).encode())
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): copy it to a place that can."
        ) from error
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)
    return targets


def copy_records(shard: Path, target: Path) -> int:
    """Copy all records into an ArrayRecord file; returns their number."""
    from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]

    writer = array_record_module.ArrayRecordWriter(str(target), "group_size:1")
    try:
        count = 0
        for record in records(shard):
            writer.write(record)
            count += 1
    finally:
        writer.close()
    return count


def records(shard: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length and its checksum, content and its checksum."""
    with shard.open("rb") as stream:
        while header := stream.read(12):
            size = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else 0
            record = stream.read(size)
            if len(header) < 12 or len(record) < size or len(stream.read(4)) < 4:
                raise UserError(f"{shard} is truncated: prepare {shard.parent} again.")
            yield record


def replace(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    partial = path.with_name(f"partial.{path.name}")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)
