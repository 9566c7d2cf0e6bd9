"""One job after another, in this process."""

import traceback
from collections.abc import Generator, Iterable

from glocal_exp.app.launchers.launcher import End, Launcher, Task
from glocal_exp.app.say import BUSY, JOB_FAILED, say, tell
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.errors import BusyError, UserError


class Local(Launcher):
    """What a command does unless it is told otherwise."""

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
