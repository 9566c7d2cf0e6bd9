"""Progress on the console: live bars in a terminal, plain lines anywhere else."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from glocal_exp.records import IntervalRecord
from glocal_exp.tracking.seed_progress import SeedProgress
from glocal_exp.tracking.sink import Sink


@final
class ProgressSink(Sink):
    """Shows steps, time left, the current accuracy and hyperparameters of every seed.

    Args:
        console: where to; stdout by default, with bars only if that is a terminal.
        plain_seconds: without a terminal, the least time between two lines of a run; its first
            and last record always get one.
        clock: seconds that only grow.
    """

    name = "Progress display"

    def __init__(
        self,
        console: Console | None = None,
        plain_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console, self._plain_seconds, self._clock = console, plain_seconds, clock
        self._runs: dict[int, SeedProgress] = {}
        self._drawn: list[SeedProgress] = []
        self._bars: Live | None = None

    def start(self, run_info: Mapping[str, Any]) -> None:
        if self._console is None:
            # rich alone would also take FORCE_COLOR for a terminal and write codes into log files
            self._console = Console(force_terminal=sys.stdout.isatty())
        seed, steps, done = (run_info[key] for key in ("seed", "steps", "resumed_step"))
        label = f"{run_info['method']} seed {seed}"
        run = self._runs[seed] = SeedProgress(label, steps, done, self._clock)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._drawn.append(run)
            if self._bars is None:
                # choice: a rate that is readable, and too rare to disturb what is timed
                self._bars = Live(
                    get_renderable=self._draw, console=self._console, refresh_per_second=2
                )
                self._bars.start()
            self._bars.refresh()

    def record(self, record: IntervalRecord) -> None:
        run = self._runs[record.seed]
        self._show(run, at_once=run.take(record))

    def progress(self, step: int, total_steps: int, note: str, seed: int) -> None:
        run = self._runs[seed]
        self._show(run, at_once=run.move(step, total_steps, note))

    def finish(self, status: str, seed: int) -> None:
        run = self._runs.pop(seed)
        run.close(status)
        self._show(run, at_once=True)
        if not self._runs:
            self.abandon()

    def abandon(self) -> None:
        bars, self._bars = self._bars, None
        if bars is not None:
            bars.stop()
        self._drawn = []

    def _show(self, run: SeedProgress, at_once: bool) -> None:
        if self._bars is not None or self._console is None:
            return
        now = self._clock()
        if at_once or now - run.printed >= self._plain_seconds:
            run.printed = now
            print(run.line(), file=self._console.file, flush=True)

    def _draw(self) -> Group:
        """Two lines a run: the bar, and below it what a reader wants to know."""
        lines = []
        for run in list(self._drawn):
            # where room is short, the bar gives way
            fixed = (True, False, True, True)
            table = Table.grid(*(Column(no_wrap=each) for each in fixed), padding=(0, 1))
            bar = ProgressBar(total=run.total, completed=run.work, width=24)
            table.add_row(Text(run.label), bar, Text(run.steps_done), Text(run.time_left))
            facts = "  ".join(run.facts(short_names))
            lines += [table, Text(f"  {facts}", no_wrap=True, overflow="ellipsis")]
        return Group(*lines)


def short_names(names: Iterable[str]) -> list[str]:
    """Initials of names of several words (`learning_rate` becomes `lr`), unless two collide."""
    words = {name: [word for word in name.split("_") if word] for name in names}
    short = ["".join(w[0] for w in ws) if len(ws) > 1 else name for name, ws in words.items()]
    return short if len(set(short)) == len(short) else list(words)
