"""Runs command lines as `python scripts/train.py` would, each in a process of its own.

Started as a program it imports everything once and then forks for each line of its input, so that
a command does not cost the seconds that importing takes.
"""

import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

SCRIPT = "scripts/train.py"


def serve() -> None:
    """For each request (a JSON object a line): fork, answer the pid; the exit code later."""
    import equinox  # noqa: F401
    import jax  # noqa: F401

    import glocal_exp.app.check
    import glocal_exp.app.train
    import glocal_exp.engine  # noqa: F401
    from glocal_exp.app.compose import jobs
    from tests.compilation import keep_compiled

    keep_compiled()
    jobs(["preset=smoke"], sweep=False)
    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        request = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            child(**request)
        answer(pid=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def child(
    module: str, arguments: list[str], cached: bool, out: str, err: str, cwd: str
) -> NoReturn:
    import jax

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Tests that are run in the background have inherited a Ctrl-C that is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(cwd)
    sys.argv = [SCRIPT, *arguments]
    jax.config.update("jax_enable_compilation_cache", cached)
    code: Any = 1
    try:
        importlib.import_module(f"glocal_exp.app.{module}").main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def reap(*_: Any) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        answer(pid=pid, code=os.waitstatus_to_exitcode(status))


def answer(**fields: int) -> None:
    os.write(1, (json.dumps(fields) + "\n").encode())


if __name__ == "__main__":
    serve()
