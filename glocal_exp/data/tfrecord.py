"""Turns a TFDS directory prepared as TFRecord into one that is also readable as ArrayRecord.

TFDS's own `tfds convert_format` needs Apache Beam and TensorFlow; the records themselves are the
same in both formats, so copying them needs neither.
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from glocal_exp.data.tfds import ARRAY_RECORD, EXTRA, INFO, file_formats, missing_packages, version
from glocal_exp.errors import UserError


def convert(folder: Path) -> list[Path]:
    """Write an ArrayRecord shard beside each TFRecord shard, and say so in `dataset_info.json`.

    Returns the shards written. Raises `UserError` for a folder or a shard that cannot be converted.
    """
    if missing_packages("array_record"):
        raise UserError(f"Converting needs array_record: install {EXTRA}.")
    info = folder / INFO
    if not (version(folder) and info.is_file() and "tfrecord" in file_formats(folder)):
        raise UserError(
            f"{folder} is no version prepared as TFRecord: give a folder such as mnist/3.0.1 that"
            f" holds {INFO}."
        )
    content = json.loads(info.read_text())
    expected = sum(int(n) for part in content["splits"] for n in part["shardLengths"])
    content["alternativeFileFormats"] = [ARRAY_RECORD]
    shards = sorted(folder.glob("*.tfrecord-*-of-*"))
    targets = [folder / s.name.replace(".tfrecord-", f".{ARRAY_RECORD}-") for s in shards]
    partials = {path: path.with_name(f"partial.{path.name}") for path in [*targets, info]}
    try:
        count = sum(copy_records(s, partials[t]) for s, t in zip(shards, targets, strict=True))
        if count != expected:
            raise UserError(
                f"{folder} holds {count:,} records, not {expected:,} as it says: prepare it again."
            )
        partials[info].write_text(json.dumps(content, indent=2))
        for path, partial in partials.items():
            os.replace(partial, path)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): copy it to a place that can."
        ) from error
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    return targets


def copy_records(shard: Path, target: Path) -> int:
    """Copy all records into an ArrayRecord file; returns their number."""
    from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]

    count = 0
    with closing(array_record_module.ArrayRecordWriter(str(target), "group_size:1")) as writer:
        for record in records(shard):
            writer.write(record)
            count += 1
    return count


def records(shard: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length and its checksum, content and its checksum."""
    with shard.open("rb") as stream:
        while header := stream.read(12):
            size = int.from_bytes(header[:8], "little")
            record = stream.read(size)
            if len(header) < 12 or len(record) < size or len(stream.read(4)) < 4:
                raise UserError(f"{shard} is truncated: prepare {shard.parent} again.")
            yield record
