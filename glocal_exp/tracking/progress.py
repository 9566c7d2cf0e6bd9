"""Progress on the console: live bars in a terminal, plain lines anywhere else."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from glocal_exp.records import IntervalRecord
from glocal_exp.tracking.seed_progress import Pace, SeedProgress, duration
from glocal_exp.tracking.sink import Shield


@final
class ProgressSink:
    """Shows steps, time left, the current accuracy and hyperparameters of every seed.

    Whatever goes wrong inside is told in one line and ends the display, never the run.

    Args:
        console: where to; stdout by default, with bars only if that is a terminal.
        plain_seconds: without a terminal, the least time between two lines of a run; its first
            and last record always get one.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        console: Console | None = None,
        plain_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console = console
        self._plain_seconds = plain_seconds
        self._clock = clock
        self._runs: dict[int, SeedProgress] = {}
        self._bars: _Bars | None = None
        self._shield = Shield("Progress display", on_failure=self._stop_bars)

    def start(self, run_info: Mapping[str, Any]) -> None:
        """Add the run of one seed to the display."""
        self._shield(self._start, run_info)

    def record(self, record: IntervalRecord) -> None:
        """Show one outer step."""
        self._shield(self._record, record)

    def progress(
        self, step: int, total_steps: int, note: str = "", seed: int | None = None
    ) -> None:
        """Move the bar between records; see `Sink.progress`."""
        self._shield(self._progress, step, total_steps, note, seed)

    def finish(self, status: str, seed: int | None = None) -> None:
        """Leave the final state on the screen."""
        self._shield(self._finish, status, seed)

    def _start(self, info: Mapping[str, Any]) -> None:
        if self._console is None:
            # rich alone would also take FORCE_COLOR for a terminal and write codes into log files
            self._console = Console(force_terminal=sys.stdout.isatty())
        seed, steps, done = (int(info.get(k) or 0) for k in ("seed", "steps", "resumed_step"))
        label = " ".join(filter(None, [str(info.get("method") or ""), f"seed {seed}"]))
        run = SeedProgress(
            *(label, steps, self._clock()), step=done, work=done, begun=done, total=steps
        )
        self._runs[seed] = run
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            if self._bars is None:
                self._bars = _Bars(self._console, self._clock)
                self._bars.start()
            run.bar = self._bars.add_task("", total=steps, completed=done, run=run)

    def _record(self, record: IntervalRecord) -> None:
        if record.seed not in self._runs:
            self._start({"seed": record.seed})
        run = self._runs[record.seed]
        last = 0 < run.steps <= record.step
        run.step = record.step
        evaluated = {k: v for k, v in record.metrics.items() if not math.isnan(v)}
        run.metrics |= evaluated
        run.measured |= dict.fromkeys(evaluated, record.step)
        run.hyperparameters = dict(record.hyperparameters)
        run.skipped += record.skipped
        newly_diverged, run.diverged = record.diverged and not run.diverged, record.diverged
        run.note = ""
        if run.total == run.steps:
            run.work = record.step
            run.pace.mark(self._clock(), run.work, idle=record.compile_seconds)
        self._show(run, at_once=last or newly_diverged)

    def _progress(self, work: int, total: int, note: str, seed: int | None) -> None:
        runs = list(self._runs.values()) if seed is None else [self._runs[seed]]
        for run in runs:
            if total != run.total or work == run.begun:
                run.total, run.pace = total, Pace()
            if total == run.steps:  # no playouts: work done is steps done
                run.step = work
            run.work, run.note = work, note
            run.pace.mark(self._clock(), work)
            self._show(run, at_once=bool(note) and work == run.begun)  # a wait, before anything

    def _finish(self, status: str, seed: int | None) -> None:
        for key in list(self._runs) if seed is None else [seed]:
            run = self._runs.pop(key, None)
            if run is None:
                continue
            run.note = f"{status} after {duration(self._clock() - run.started)}"
            run.closed = True
            self._show(run, at_once=True)
        if not self._runs:
            self._stop_bars()

    def _show(self, run: SeedProgress, at_once: bool = False) -> None:
        now = self._clock()
        if self._bars is not None and run.bar is not None:
            self._bars.update(run.bar, completed=run.work, total=run.total)
        elif self._console is not None and (at_once or now - run.printed >= self._plain_seconds):
            run.printed = now
            parts = [run.steps_done()]
            if run.total == run.steps > 0:
                parts[0] += f" ({run.work / run.total:.0%})"
            elif run.total:
                parts.append(f"{run.work / run.total:.0%} of the work")
            if not run.closed and run.pace.left(now, run.total) is not None:
                parts.append(run.time_left(now))
            parts += run.facts(lambda names: {name: name for name in names})
            print(f"{run.label}: {', '.join(parts)}", file=self._console.file, flush=True)

    def _stop_bars(self) -> None:
        bars, self._bars = self._bars, None
        if bars is not None:
            bars.stop()


class _Column(ProgressColumn):
    """Text of the run that a bar stands for."""

    def __init__(self, text: Callable[[SeedProgress], str]):
        super().__init__()
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text(task.fields["run"]), no_wrap=True)


class _Bars(Progress):
    """Two lines a run: the bar, and below it what a reader wants to know."""

    def __init__(self, console: Console, clock: Callable[[], float]):
        super().__init__(
            _Column(lambda run: run.label),
            BarColumn(bar_width=24),
            _Column(SeedProgress.steps_done),
            _Column(lambda run: run.time_left(clock())),
            console=console,
            refresh_per_second=2,  # choice: readable, and too rare to disturb what is timed
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            yield self.make_tasks_table([task])
            facts = task.fields["run"].facts(short_names)
            yield Text("  " + "  ".join(facts), no_wrap=True, overflow="ellipsis")


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Initials of names of several words (`learning_rate` becomes `lr`), unless two collide."""
    names = list(names)
    short = {
        name: "".join(word[0] for word in words) if len(words) > 1 else name
        for name in names
        if (words := [word for word in name.split("_") if word])
    }
    unique = len(set(short.values())) == len(names)
    return short if unique else {name: name for name in names}
