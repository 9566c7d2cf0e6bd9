"""The tracker that tracks nothing."""

from collections.abc import Mapping
from typing import Any, final

from glocal_exp.records import IntervalRecord


@final
class NoSink:
    """Takes everything and keeps nothing."""

    def start(self, run_info: Mapping[str, Any]) -> None:
        """See `Sink.start`."""

    def record(self, record: IntervalRecord) -> None:
        """See `Sink.record`."""

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        """See `Sink.progress`."""

    def finish(self, status: str, seed: int | None = None) -> None:
        """See `Sink.finish`."""
