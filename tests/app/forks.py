"""Runs command lines as `python scripts/<name>.py` would, each in a process of its own.

Started as a program it imports everything once and then forks for each line of its input, so that
a command does not cost the seconds that importing takes.
"""

import gc
import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]


def serve() -> None:
    """For each request (a JSON object a line): fork, answer the pid; the exit code later."""
    import equinox  # noqa: F401
    import jax  # noqa: F401

    import glocal_exp.app.launchers.launcher
    import glocal_exp.app.replay
    import glocal_exp.app.study
    import glocal_exp.app.sweep
    import glocal_exp.app.train
    import glocal_exp.engine
    import glocal_exp.report.comparison  # noqa: F401
    from glocal_exp.app.check import check
    from glocal_exp.app.compose import jobs
    from glocal_exp.app.config import numeric_config
    from glocal_exp.app.identity import ENGINE
    from glocal_exp.store.fingerprint import source_fingerprint, target_modules
    from tests.compilation import keep_compiled

    from .commands import TOY

    keep_compiled()
    (job,) = jobs(TOY, sweep=False)
    # Remembered by the children, nearly all of which ask for it, as for what a check imports.
    check(job.config)
    source_fingerprint({*ENGINE, *target_modules(numeric_config(job.config, "bundled"))})
    gc.freeze()
    os.fsync = lambda *_: None  # no test cuts the power
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
    script: str, arguments: list[str], cached: bool, quick: bool, out: str, err: str, cwd: str
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
    sys.path.insert(0, f"{ROOT}/scripts")  # as Python does for a script
    sys.argv = [f"scripts/{script}.py", *arguments]
    jax.config.update("jax_enable_compilation_cache", cached)
    jax.config.update("jax_disable_most_optimizations", quick)
    if not quick:
        os.environ["XLA_FLAGS"] = ""
    code: Any = 1
    try:
        runpy.run_path(f"{ROOT}/scripts/{script}.py", run_name="__main__")
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
