"""What is left of a plan is known before it starts, and neither limit nor copy nor company harm."""

import math
import re
import shlex
import shutil
import signal
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glocal_exp.app.cells import Cell, cells, state_of
from glocal_exp.app.choices import choices, groups
from glocal_exp.app.compose import Job, jobs
from glocal_exp.app.plans import composed, studies, sweep, sweeps, unmeasured
from glocal_exp.app.reproduce import FIRST, queue, reproduce
from glocal_exp.app.stop import OutOfTime, Stop
from glocal_exp.app.study import is_measured, measure
from glocal_exp.errors import UserError
from glocal_exp.places import RESULTS
from glocal_exp.store import find_runs
from glocal_exp.store.studies import study_directories
from tests.sealing import reseal

from .commands import PACED, TOY, Command, Shell, assert_same, checkpoint, manifest, runs, until

PLAN = ["c3_fmnist", *TOY[1:], "source=bundled", "batch_size=4", "seed=0,1"]


@pytest.fixture(scope="module")
def made(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What is said of a plan of two runs, and the output directory that they were made in."""
    output = tmp_path_factory.mktemp("whole")
    return run(shell, output).out, output


@pytest.fixture
def whole(made: tuple[str, Path]) -> Path:
    return made[1]


def run(shell: Shell, output: Path, *others: str) -> Command:
    command = shell.run(*PLAN, f"output_dir={output}", *others, script="reproduce")
    assert (command.code, command.err) == (0, "")
    return command


def test_the_plan_comes_first_and_each_command_says_what_is_left(made):
    lines = [line for line in made[0].splitlines() if line.startswith(("#", "["))]
    assert lines[0] == "# 0 of 2 runs are stored"
    assert lines[1].startswith("# 2 missing; commands: 2, ")
    assert re.fullmatch(r"# disk: \d+\.\d MB, \d+ MB are free", lines[3])
    assert lines[4].startswith("[1/2, left: ")
    assert lines[4].endswith("] c3_fmnist seed=0")
    assert re.match(r"\[2/2, left: about \d\.\d min\]", lines[5]), "the first has been measured"


def test_a_deleted_run_is_what_is_missing_and_its_command_restores_it(shell, whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(runs(tmp_path)["local/1"])
    out = run(shell, tmp_path, "--missing").out
    assert "# 1 of 2 runs are stored\n# 1 missing; commands: 1, about " in out
    comment, command = out.splitlines()[-2:]
    assert re.fullmatch(r"# missing; about \d\.\d min \(measured here\)", comment)
    words = shlex.split(command)
    assert words[:2] == ["python", "scripts/train.py"]
    assert shell.run(*words[2:]).code == 0
    assert_same(runs(tmp_path)["local/1"], runs(whole)["local/1"])
    assert run(shell, tmp_path).out == "# 2 of 2 runs are stored\n"


def test_runs_in_another_folder_count_if_it_is_named(shell, whole, tmp_path):
    out = run(shell, tmp_path, "--missing", f"also={whole}").out
    assert out == "# 2 of 2 runs are stored\n"
    assert not runs(tmp_path)


def _digit(path: Path) -> None:
    file = path / "metrics.csv"
    file.write_text(file.read_text().replace("0", "1", 1))


CHANGES = {
    "digit": ("damaged", _digit),
    "source": ("stale", lambda path: reseal(path, source_hash="0" * 16)),
    "config": ("stale", lambda path: reseal(path, config_hash="0" * 8)),
    "seed": ("damaged", lambda path: reseal(path, seed=1)),
}


@pytest.mark.parametrize(("state", "change"), CHANGES.values(), ids=CHANGES)
def test_a_copy_is_verified_before_it_counts(whole, tmp_path, state, change):
    for path in runs(whole).values():
        shutil.copytree(path, tmp_path / path.relative_to(whole))
    assert states(tmp_path) == ["complete", "complete"]
    change(runs(tmp_path)["local/0"])
    assert states(tmp_path) == [state, "complete"]
    assert [cell.done for cell in found(tmp_path) if not cell.is_complete] == [0.0]


def test_a_copy_made_with_other_images_does_not_count(whole, tmp_path):
    """Where the original ones are asked for; the embedded ones are no others' copy."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    paths = list(runs(tmp_path).values())
    facts = {name: manifest(paths[0])[name] for name in ("config_hash", "source_hash")}
    assert manifest(paths[0])["data"]["original"] is False
    assert state_of(paths[0], facts, "bundled") == "complete"
    assert state_of(paths[0], facts, "files") == "of other images"


@cache
def planned() -> list[Job]:
    (line,) = sweeps(PLAN[0])
    return jobs(sweep(line, PLAN[1:]), sweep=True)


def found(output: Path) -> Iterable[Cell]:
    """The plan's runs as they are there."""
    for job in planned():
        job.config.output_dir = str(output)
    return cells(planned(), batched=False, others=())


def states(output: Path) -> list[str]:
    """Of the plan's runs, by seed."""
    pairs = [pair for cell in found(output) for pair in zip(cell.paths, cell.states, strict=True)]
    return [state for _, state in sorted(pairs)]


def test_what_another_process_does_is_looked_at_again_at_the_end(shell, whole, tmp_path):
    first = shell.start(*PLAN, "seed=0", PACED, f"output_dir={tmp_path}", script="reproduce")
    until(lambda: runs(tmp_path) and checkpoint(runs(tmp_path)["local/0"]) >= 1)
    first.kill(signal.SIGSTOP)
    out = run(shell, tmp_path).out
    first.kill(signal.SIGCONT)
    assert shell.wait(first).code == 0
    assert "# 1 running, 1 missing; commands: 2" in out
    done, again = out.index("done: "), out.index("left to it: ")
    assert out.index("put off: ") < done < again
    for name, path in runs(whole).items():
        assert_same(runs(tmp_path)[name], path)


@pytest.mark.slow
def test_a_limit_ends_a_run_at_a_place_to_go_on_from(shell, whole, tmp_path):
    """800 stretches of at least 0.05 seconds do not fit into half a minute."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)  # what is measured
    sizes = ["seed=0", "steps=4000"]
    out = run(shell, tmp_path, *sizes, PACED, "minutes=0.5").out
    assert re.search(r"0 of 1 commands are done, left: about .*; the same command goes on\n$", out)
    (path,) = (p for p in (tmp_path / "runs").glob("*/*/seed=0") if checkpoint(p))
    assert manifest(path)["status"] == "interrupted"
    run(shell, tmp_path, *sizes)
    assert manifest(path)["status"] == "complete"
    assert len(manifest(path)["sessions"]) == 2


def test_before_a_limit_there_is_room_for_the_next_stretch(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stop = Stop()
    stop.after(minutes=2)
    with stop.training():
        now = 61.0
        with pytest.raises(OutOfTime):
            stop.check()
    with stop.training():
        for now in (70.0, 80.0, 90.0, 100.0, 105.0):  # noqa: B007, as the clock reads it
            stop.check()
        now = 115.0
        with pytest.raises(OutOfTime):
            stop.check()


class Known:
    """Speeds of cells that are numbers: their minutes, infinity if not known."""

    def estimate(self, cell: Any) -> Any:
        seconds = 60 * cell.minutes
        return SimpleNamespace(seconds=seconds, first=min(seconds, 120.0))

    def time(self, cells: Iterable[Any]) -> str:
        return ""

    def add(self, paths: Any) -> None:
        """Nothing is measured."""


@pytest.mark.parametrize(
    ("minutes", "order"),
    [
        (math.inf, [9.0, 1.0, math.inf, 2.0, 7.0]),
        (10.5, [9.0, 1.0]),  # then 30 seconds, of which none makes use
        (8.0, [1.0, 2.0, 9.0]),  # 5 minutes are left, for a part of the first
    ],
)
def test_before_a_limit_comes_what_fits(monkeypatch, minutes, order):
    now, done = 0.0, []
    monkeypatch.setattr("time.monotonic", lambda: now)
    stop = Stop()
    stop.after(minutes)
    cells = [
        SimpleNamespace(minutes=each, paths=(), job=SimpleNamespace(name=""))
        for each in (9.0, 1.0, math.inf, 2.0, 7.0)
    ]
    by_job = {id(cell.job): cell.minutes for cell in cells}
    for _, job in queue(cells, Known(), stop):  # pyright: ignore[reportArgumentType]
        done.append(by_job[id(job)])
        now = min(now + 60 * done[-1], 60 * minutes) if done[-1] < math.inf else now
    assert done == order


@pytest.mark.parametrize("word", ["minutes=no", "minutes=0", "minutes=-1", "minutes=nan"])
def test_a_limit_is_a_number_above_zero(word):
    for words in ([word], ["minutes=8", word]):
        with pytest.raises(UserError, match=f"{word} is no number above 0, as minutes=8 is"):
            reproduce(words, Stop())


def test_another_folder_holds_runs(tmp_path):
    with pytest.raises(UserError, match="holds no folder runs"):
        reproduce([f"also={tmp_path}"], Stop())


def test_settings_win_over_a_sweeps_own():
    words = ["method=none,local", "seeds=[0,1]", "steps=20"]
    assert sweep(words, ["seed=3"]) == ["method=none,local", "steps=20", "seed=3"]
    assert sweep(words, ["method=glocal"]) == ["seeds=[0,1]", "steps=20", "method=glocal"]


def test_lines_that_a_setting_is_not_for_are_left_out(capsys):
    lines = [["method=local"], ["method=glocal", "method.stride=4"], ["method=none", "task=dog"]]
    assert [job.choices["method"] for job in composed(lines, ["method=split"])] == ["split"] * 2
    assert "# left out, since a setting is not for them: 1 of 3 lines" in capsys.readouterr().out
    assert len(composed(lines, ["task.init.momentum=0.1"])) == 2
    for settings, wrong in ((["lerning_rate=1"], lines), ([], [*lines, ["method=locla"]])):
        with pytest.raises(UserError, match="There is no"):
            composed(wrong, settings)


@pytest.mark.parametrize("name", choices("plan"))
def test_the_plan_names_what_there_is(name):
    lines = [*sweeps(name), *studies(name)]
    words = [word.partition("=")[::2] for line in lines for word in line]
    chosen = [(key, value) for key, values in words for value in values.split(",")]
    named = [(group, choice) for group, choice in chosen if group in groups()]
    assert len(named) > len(lines)
    assert [(group, choice) for group, choice in named if choice not in choices(group)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", choices("plan"))
def test_every_line_of_the_plan_is_one_that_trains(name):
    from glocal_exp.app.check import check

    for line in sweeps(name):
        for job in jobs(line, sweep=True):
            check(job.config)
            assert job.choices["source"] == "files"


@pytest.mark.slow
def test_every_stored_run_is_one_of_the_plan():
    lines = [sweep([f"output_dir={RESULTS}", *line], []) for n in FIRST for line in sweeps(n)]
    planned = cells([job for line in lines for job in jobs(line, True)], False, [])
    paths = {path for cell in planned for path in cell.paths}
    assert [run.path for run in find_runs(RESULTS / "runs") if run.path not in paths] == []


def test_a_study_of_the_plan_is_missing_until_it_is_measured(tmp_path, capsys):
    small = ["study=noise", "study.draws=2", "study.levels=[0.01]", "study.decays=[0.5]"]
    line = [*small, "seed=0,1", f"output_dir={tmp_path}"]
    first, _ = unmeasured([line], [])
    measure(first)
    (left,) = unmeasured([line], [])
    assert left.config.seed == 1
    assert "# 1 of 2 studies are stored\n" in capsys.readouterr().out
    assert len(unmeasured([[*small, "seeds=[0,1]", line[-1]]], [])) == 1
    (folder,) = study_directories(tmp_path / "studies")
    next(folder.glob("units/*.csv")).write_text("changed")
    assert len(unmeasured([line], [])) == 2
    assert unmeasured([line], ["tracker=none", "steps=10"]) == []
    assert unmeasured([line], [], minutes=8) == []
    out = capsys.readouterr().out
    for why in ("steps=10 is none of their settings", "they do not keep to a limit of time"):
        assert f"# studies are left out: {why}\n" in out


@pytest.mark.slow
def test_every_stored_study_is_one_of_the_plan():
    lines = [sweep([f"output_dir={RESULTS}", *line], []) for n in FIRST for line in studies(n)]
    planned = [job for line in lines for job in jobs(line, True)]
    stored = [job for job in planned if is_measured(job)]
    assert len(stored) == len(study_directories(RESULTS / "studies"))
