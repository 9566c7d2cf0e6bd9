"""The last two checkpoints of a run, each with a checksum, so that a torn one is never trusted."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from glocal_exp.store.files import make_directory, write_atomically

MAGIC = b"glocal-checkpoint-1\n"
DIGEST_SIZE = hashlib.sha256().digest_size
KEPT = 2


class Checkpoints:
    """Numbered files `<count>.ckpt` in a directory: a magic line, SHA-256, the engine's bytes."""

    def __init__(self, directory: Path):
        self.directory = directory

    def save(self, content: bytes) -> None:
        """Write the next checkpoint, then drop all but the newest two."""
        make_directory(self.directory)
        files = self._newest_first()
        number = int(files[0].stem) + 1 if files else 1
        path = self.directory / f"{number:08d}.ckpt"
        write_atomically(path, MAGIC + hashlib.sha256(content).digest() + content)
        for old in [path, *files][KEPT:]:
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)

    def load(self) -> Iterator[bytes]:
        """What was saved, newest first; torn and corrupt files are passed over."""
        for path in self._newest_first():
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                start = len(MAGIC) + DIGEST_SIZE
                head, body = content[:start], content[start:]
                if head == MAGIC + hashlib.sha256(body).digest():
                    yield body

    def remove(self) -> None:
        """Delete all of them; a failure is left for the next time."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        files = [path for path in self.directory.glob("*.ckpt") if path.stem.isdecimal()]
        return sorted(files, key=lambda path: int(path.stem), reverse=True)
