"""What comes of tasks, however a launcher says that they ended; and what it is made of."""

import sys
from collections.abc import Collection, Generator, Iterable, Sequence
from pathlib import Path

import pytest

from glocal_exp.app.cells import cells
from glocal_exp.app.compose import jobs
from glocal_exp.app.launchers.launcher import End, Launcher, Local, Task
from glocal_exp.app.launchers.processes import Processes
from glocal_exp.app.launchers.started import LOST, Order, Started
from glocal_exp.app.say import BUSY, INTERRUPTED
from glocal_exp.app.stop import OutOfTime, Stop
from glocal_exp.app.sweep import launcher_of, run_all
from glocal_exp.errors import BusyError, UserError
from tests.app.commands import TOY


class Scripted(Launcher):
    """Ends tasks with codes that are given for each, one after another."""

    retries = 2

    def __init__(self, **codes: list[int]):
        self._codes = codes

    def run(self, tasks: Iterable[Task], stop: Stop) -> Generator[End]:
        for task in tasks:
            yield End(task, self._codes[task.heading].pop(0), f"said of {task.heading}")


def named(*names: str) -> list[Task]:
    (job,) = jobs([], sweep=False)
    return [Task(name, job, lambda job: None, "train") for name in names]


@pytest.mark.parametrize(
    ("codes", "result"),
    [
        ([0], 0),
        ([2], 1),
        ([1], 1),
        ([LOST, -9, 0], 0),
        ([-9, -9, -9], 1),
        ([INTERRUPTED, 0], 0),  # by someone who meant that process alone
        ([BUSY, 0], 0),
        ([BUSY, BUSY], 0),
        ([BUSY, 2], 1),
        ([-9, BUSY], 0),
    ],
)
def test_what_is_lost_or_busy_comes_again_and_what_fails_does_not(codes, result, capsys):
    left = list(codes)
    assert run_all(named("a", "b"), Scripted(a=left, b=[0]), Stop()) == result
    assert left == []
    out = capsys.readouterr()
    assert out.out.count("put off: said of a") == (codes[0] == BUSY)
    assert out.out.count("left to it: said of a") == (codes[-1] == BUSY)
    assert out.err.count("error: 1 of 2 jobs failed") == result


def test_what_a_limit_has_cut_short_is_no_failure():
    stop = Stop()
    stop.after(1)
    with pytest.raises(OutOfTime):
        run_all(named("a", "b"), Scripted(a=[INTERRUPTED], b=[0]), stop)


def test_a_started_process_has_the_limit_of_the_one_that_starts_it(monkeypatch):
    stop = Stop()
    assert stop.until is None
    stop.after(2)
    monkeypatch.setenv("GLOCAL_UNTIL", str(stop.until))
    assert Stop().seconds_left == pytest.approx(120, abs=5)


class Losing(Started):
    """Loses what it is given."""

    def room(self, running: int) -> int:
        return 1 - running

    def submit(self, orders: Sequence[Order]) -> Sequence[str]:
        return ["handle"]

    def ended(self, handles: Collection[str]) -> dict[str, int | str]:
        return dict.fromkeys(handles, "the node is gone")

    def interrupt(self, handles: Collection[str]) -> None:
        raise NotImplementedError


def test_why_a_task_is_lost_is_in_its_log(tmp_path):
    (job,) = jobs([f"output_dir={tmp_path}"], sweep=False)
    task = Task("a", job, lambda job: None, "train")
    assert list(Losing(1, 0).run([task], Stop())) == [End(task, LOST, "lost")]
    assert task.log.read_text() == "the node is gone\n"


def test_in_this_process_each_error_is_told_and_the_next_goes_on(capsys):
    errors = {"a": BusyError("has it"), "b": UserError("is wrong."), "c": ValueError("broken")}

    def work(job):
        if error := errors.get(job.name):
            raise error

    (job,) = jobs([], sweep=False)
    tasks = [Task(n, type(job)(n, job.config, {}), work, "train") for n in "abcd"]
    found = {end.task.heading: end.code for end in Local().run(tasks, Stop())}
    assert found == {"a": BUSY, "b": 2, "c": 1, "d": 0}
    assert "error: is wrong.\n" in capsys.readouterr().err


def test_the_job_of_a_sweep_is_started_alone_and_without_a_launcher(tmp_path):
    words = ["launcher=processes", "launcher.n=3", f"output_dir={tmp_path}", "seed=0,1"]
    first, second = jobs(words, sweep=True)
    task = Task("", first, lambda job: None, "train")
    assert task.words == ("train", f'output_dir="{tmp_path}"', "seed=0")
    assert task.log.parent == tmp_path / "logs"
    assert task.log.name.startswith("seed=0-")
    assert Task("", second, lambda job: None, "train").log != task.log
    assert Task("", first, lambda job: None, "study").log != task.log


def test_a_cell_of_the_plan_has_no_launcher_in_its_command():
    (job,) = jobs([*TOY, "source=bundled", "launcher=processes", "launcher.n=3"], sweep=False)
    (cell,) = cells([job], False, ())
    assert "launcher" not in cell.command
    assert "launcher" not in cell.job.name
    assert isinstance(launcher_of([cell.job]), Processes)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        *[
            ([f"launcher={name}", "launcher.n=0"], "launcher.n=0 is not at least 1")
            for name in ("processes", "slurm", "ray")
        ],
        (["launcher=processes", "launcher.n=two"], "launcher.n=two should be a whole number"),
        (["launcher=slurm", "+launcher.partitions=a"], "There is no setting launcher.partitions"),
        (["launcher=processes", "launcher.n=1,2"], "launcher has several values"),
    ],
)
def test_what_is_wrong_with_a_launcher_is_said_before_anything_starts(words, told):
    with pytest.raises(UserError, match=told):
        launcher_of(jobs(words, sweep=True))


@pytest.mark.parametrize(("name", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_a_missing_package_is_named_with_its_extra(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    told = f"launcher={name} needs {package}, which is missing; install the extra {name}"
    with pytest.raises(UserError, match=told):
        launcher_of(jobs([f"launcher={name}"], sweep=False))
    assert f"\n{name} = [" in (Path(__file__).parents[3] / "pyproject.toml").read_text()
