"""Progress on the console: live bars in a terminal, plain lines anywhere else."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
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
        self._bars: _Bars | None = None

    def start(self, run_info: Mapping[str, Any]) -> None:
        if self._console is None:
            # rich alone would also take FORCE_COLOR for a terminal and write codes into log files
            self._console = Console(force_terminal=sys.stdout.isatty())
        seed, steps, done = (int(run_info.get(k) or 0) for k in ("seed", "steps", "resumed_step"))
        label = " ".join(filter(None, [str(run_info.get("method") or ""), f"seed {seed}"]))
        run = self._runs[seed] = SeedProgress(label, steps, done, self._clock)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            if self._bars is None:
                self._bars = _Bars(self._console)
                self._bars.start()
            run.bar = self._bars.add_task("", total=steps, completed=done, run=run)

    def record(self, record: IntervalRecord) -> None:
        if record.seed not in self._runs:
            self.start({"seed": record.seed})
        run = self._runs[record.seed]
        self._show(run, at_once=run.take(record))

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        for run in list(self._runs.values()) if seed is None else [self._runs[seed]]:
            self._show(run, at_once=run.move(step, total_steps, note))

    def finish(self, status: str, seed: int | None = None) -> None:
        for key in list(self._runs) if seed is None else [seed]:
            if run := self._runs.pop(key, None):
                run.close(status)
                self._show(run, at_once=True)
        if not self._runs:
            self.abandon()

    def abandon(self) -> None:
        bars, self._bars = self._bars, None
        if bars is not None:
            bars.stop()

    def _show(self, run: SeedProgress, at_once: bool) -> None:
        now = self._clock()
        if self._bars is not None and run.bar is not None:
            self._bars.update(run.bar, completed=run.work, total=run.total)
        elif self._console is not None and (at_once or now - run.printed >= self._plain_seconds):
            run.printed = now
            print(run.line(), file=self._console.file, flush=True)


class _Bars(Progress):
    """Two lines a run: the bar, and below it what a reader wants to know."""

    def __init__(self, console: Console):
        label, steps, left = (
            TextColumn(f"{{task.fields[run].{name}}}", markup=False)
            for name in ("label", "steps_done", "time_left")
        )
        # choice: a rate that is readable, and too rare to disturb what is timed
        bar = BarColumn(bar_width=24)
        super().__init__(label, bar, steps, left, console=console, refresh_per_second=2)

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            yield self.make_tasks_table([task])
            run: SeedProgress = task.fields["run"]
            facts = "  ".join(run.facts(short_names(run.hyperparameters)))
            yield Text(f"  {facts}", no_wrap=True, overflow="ellipsis")


def short_names(names: Iterable[str]) -> list[str]:
    """Initials of names of several words (`learning_rate` becomes `lr`), unless two collide."""
    words = {name: [word for word in name.split("_") if word] for name in names}
    short = ["".join(w[0] for w in ws) if len(ws) > 1 else name for name, ws in words.items()]
    return short if len(set(short)) == len(short) else list(words)
