"""What progress there is to show of one seed: steps, time left, metrics and hyperparameters."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from glocal_exp.records import IntervalRecord

# choice: what a reader looks at first; a problem without any of these shows its first metric
HEADLINE_METRICS = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss")
SHOWN_HYPERPARAMETERS = 4  # choice: what fits beside the metric in a line of 80 characters
UNKNOWN = "?:??:?? left"


@dataclass
class Pace:
    """Time left, from the work done since the first mark; what went before it does not count."""

    first: tuple[float, float] | None = None
    last: tuple[float, float] = (0.0, 0.0)

    def mark(self, now: float, work: float, idle: float = 0.0) -> None:
        """Note that `work` is done at time `now`, `idle` seconds of which come only once."""
        self.last = (now, work)
        start, done = self.first or (now - idle, work)
        self.first = (start + idle, done)

    def left(self, now: float, total: float) -> float | None:
        """Seconds until `total` work is done; None as long as nothing is known."""
        (start, done), (latest, work) = self.first or self.last, self.last
        if latest <= start or work <= done:
            return None
        return max(0.0, (total - work) * (latest - start) / (work - done) - (now - latest))


class SeedProgress:
    """What is shown of one seed.

    Args:
        begun: the training steps that were done before this program.
    """

    def __init__(self, label: str, steps: int, begun: int, clock: Callable[[], float]):
        self.label, self.steps, self.begun, self.clock = label, steps, begun, clock
        self.total, self.pace = steps, Pace()
        self.step = self.work = begun  # training steps, and work in the unit of `total`
        self.metrics: dict[str, tuple[float, int]] = {}  # as last evaluated, and at which step
        self.hyperparameters: Mapping[str, float] = {}
        self.skipped, self.diverged, self.closed, self.note = 0, False, False, ""
        self.started, self.printed = clock(), -math.inf  # the latter by its last plain line

    def take(self, record: IntervalRecord) -> bool:
        """Note an outer step; whether it is to be seen at once."""
        at_once = self.steps <= record.step or (record.diverged and not self.diverged)
        self.step, self.note, self.diverged = record.step, "", record.diverged
        evaluated = {k: v for k, v in record.metrics.items() if not math.isnan(v)}
        self.metrics |= {name: (value, record.step) for name, value in evaluated.items()}
        self.hyperparameters = record.hyperparameters
        self.skipped += record.skipped
        if self.total == self.steps:
            self.work = record.step
            self.pace.mark(self.clock(), self.work, idle=record.compile_seconds)
        return at_once

    def move(self, work: int, total: int, note: str) -> bool:
        """Note what is done between records; whether it is to be seen at once."""
        if total != self.total or work == self.begun:
            self.total, self.pace = total, Pace()
        if total == self.steps:  # no playouts: work done is steps done
            self.step = work
        self.work, self.note = work, note
        self.pace.mark(self.clock(), work)
        return bool(note) and work == self.begun  # a wait, before anything

    def close(self, status: str) -> None:
        """Note the end."""
        self.note = f"{status} after {_duration(self.clock() - self.started)}"
        self.closed = True

    @property
    def steps_done(self) -> str:
        return f"step {self.step}/{self.steps}"

    @property
    def time_left(self) -> str:
        if self.closed:
            return ""
        left = self.pace.left(self.clock(), self.total)
        return UNKNOWN if left is None else f"{_duration(left)} left"

    def line(self) -> str:
        """All of it as plain text."""
        parts = [self.steps_done]
        share = f"{self.work / self.total:.0%}"
        if self.total == self.steps:
            parts[0] += f" ({share})"
        else:
            parts.append(f"{share} of the work")
        if self.time_left not in ("", UNKNOWN):
            parts.append(self.time_left)
        return f"{self.label}: {', '.join([*parts, *self.facts()])}"

    def facts(self, names_of: Callable[[Iterable[str]], Iterable[str]] = list) -> list[str]:
        """The headline metric, the hyperparameters in natural units, and what is unusual.

        Args:
            names_of: makes of the names of all hyperparameters what to call them.
        """
        headline = [name for name in (*HEADLINE_METRICS, *self.metrics) if name in self.metrics]
        facts = []
        for name in headline[:1]:
            value, step = self.metrics[name]
            when = f" at step {step}" if step != self.step else ""
            facts.append(f"{name.replace('_', ' ')} {value:.4g}{when}")
        values = self.hyperparameters  # at one moment: bars are drawn in a thread of their own
        shown = list(zip(names_of(values), values.values(), strict=True))
        facts += [f"{name} {value:.3g}" for name, value in shown[:SHOWN_HYPERPARAMETERS]]
        if len(shown) > SHOWN_HYPERPARAMETERS:
            facts.append(f"and {len(shown) - SHOWN_HYPERPARAMETERS} more")
        if self.skipped:
            facts.append(f"hypergradient not finite, meta steps skipped {self.skipped}")
        if self.diverged:
            facts.append("diverged")
        return [*facts, self.note] if self.note else facts


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
