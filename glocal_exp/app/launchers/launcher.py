"""The jobs of a sweep as tasks, what every launcher does with them, and the one that is here."""

import hashlib
import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glocal_exp.app.choices import root_of
from glocal_exp.app.say import BUSY, JOB_FAILED, say, tell
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.errors import BusyError, UserError

if TYPE_CHECKING:
    from glocal_exp.app.compose import Job

Work = Callable[["Job"], None]
LOGS = "logs"  # the folder, beside that of the runs, of what started processes print


@dataclass(frozen=True, eq=False)
class Task:
    """A job of a sweep, in the two ways in which it may be done."""

    heading: str  # what is said of it, with its place in the sweep
    job: "Job"
    work: Work  # does it in this process
    command: str  # the command of `glocal` that does it in another

    @property
    def words(self) -> tuple[str, ...]:
        """What that other process is started with; it runs this job alone, and itself."""
        own = [word for word in self.job.overrides if root_of(word) != "launcher"]
        return (self.command, *own)

    @property
    def log(self) -> Path:
        """Where it prints to, the same each time."""
        digest = hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:8]
        name = re.sub(r"[^\w.=,-]+", "_", self.job.name)[:80].strip("_")
        return Path(self.job.config.output_dir).absolute() / LOGS / f"{name}-{digest}.log"


class End(NamedTuple):
    """How a task ended: with an exit code of `glocal_exp.app.say`, and perhaps what was said."""

    task: Task
    code: int
    told: str = ""


class Launcher(ABC):
    """Runs tasks, several at a time or one after another."""

    is_here: bool = False  # in this process, one after another
    retries: int = 0  # how often a task is taken up again whose process was killed or lost

    @abstractmethod
    def run(self, tasks: Iterable[Task], stop: Stop) -> Generator[End]:
        """Run tasks, taken as there is room for them, and say of each how it ended, in any order.

        Raises:
            Interrupted: those under way have been stopped where they can go on from.
        """


class Local(Launcher):
    """One job after another, in this process: what is done unless a command says otherwise."""

    is_here = True

    def run(self, tasks: Iterable[Task], stop: Stop) -> Generator[End]:
        for task in tasks:
            say(task.heading)
            yield _done(task)


def _done(task: Task) -> End:
    try:
        task.work(task.job)
    except Interrupted:
        raise
    except BusyError as error:
        return End(task, BUSY, str(error))
    except (UserError, OSError) as error:
        return End(task, tell(error))
    except Exception:
        traceback.print_exc()
        return End(task, JOB_FAILED)
    return End(task, 0)
