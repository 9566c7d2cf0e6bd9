"""What progress there is to show of one seed: steps, time left, metrics and hyperparameters."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from rich.progress import TaskID

# choice: what a reader looks at first; a problem without any of these shows its first metric
HEADLINE_METRICS = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss")
SHOWN_HYPERPARAMETERS = 4  # choice: what fits beside the metric in a line of 80 characters


@dataclass
class Pace:
    """Time left, from the work done since the first mark; what went before it does not count."""

    first: tuple[float, float] | None = None
    last: tuple[float, float] = (0.0, 0.0)

    def mark(self, now: float, work: float, idle: float = 0.0) -> None:
        """Note that `work` is done at time `now`, `idle` seconds of which come only once."""
        self.last = (now, work)
        if self.first is None:
            self.first = self.last
        else:
            self.first = (self.first[0] + idle, self.first[1])

    def left(self, now: float, total: float) -> float | None:
        """Seconds until `total` work is done; None as long as nothing is known."""
        if self.first is None:
            return None
        seconds, work = self.last[0] - self.first[0], self.last[1] - self.first[1]
        if seconds <= 0 or work <= 0:
            return None
        return max(0.0, (total - self.last[1]) * seconds / work - (now - self.last[0]))


@dataclass
class SeedProgress:
    """What is shown of one seed.

    Attributes:
        step, work: training steps done, and work in the unit of `total`.
        begun: the work that had been done before this program.
        measured: the step at which each of `metrics` was evaluated.
    """

    label: str
    steps: int
    started: float
    step: int = 0
    work: int = 0
    begun: int = 0
    total: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    measured: dict[str, int] = field(default_factory=dict)
    hyperparameters: dict[str, float] = field(default_factory=dict)
    skipped: int = 0
    diverged: bool = False
    note: str = ""
    closed: bool = False
    pace: Pace = field(default_factory=Pace)
    printed: float = -math.inf
    bar: TaskID | None = None

    def steps_done(self) -> str:
        return f"step {self.step}/{self.steps}"

    def time_left(self, now: float) -> str:
        if self.closed:
            return ""
        left = self.pace.left(now, self.total)
        return "?:??:?? left" if left is None else f"{duration(left)} left"

    def facts(self, names: Callable[[Iterable[str]], Mapping[str, str]]) -> list[str]:
        """The headline metric, the hyperparameters in natural units, and what is unusual."""
        headline = next((name for name in HEADLINE_METRICS if name in self.metrics), None)
        headline = headline or next(iter(self.metrics), None)
        facts = []
        if headline is not None:
            measured = self.measured.get(headline, self.step)
            when = f" at step {measured}" if measured != self.step else ""
            facts.append(f"{headline.replace('_', ' ')} {self.metrics[headline]:.4g}{when}")
        shown = names(self.hyperparameters)
        for name in list(shown)[:SHOWN_HYPERPARAMETERS]:
            facts.append(f"{shown[name]} {self.hyperparameters[name]:.3g}")
        if len(shown) > SHOWN_HYPERPARAMETERS:
            facts.append(f"and {len(shown) - SHOWN_HYPERPARAMETERS} more")
        if self.skipped:
            facts.append(f"hypergradient not finite, meta steps skipped {self.skipped}")
        if self.diverged:
            facts.append("diverged")
        return [*facts, self.note] if self.note else facts


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
