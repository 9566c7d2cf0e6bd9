import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.store import environment
from glocal_exp.store.manifest import REPOSITORY, git_state, publishable


def git(repository, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_git_state_sees_code_and_ignores_results(tmp_path):
    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    code = tmp_path / "glocal_exp" / "__init__.py"
    code.parent.mkdir()
    code.write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path)["commit"] is None
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "metrics.csv").write_text("a\n")
    assert git_state(tmp_path) == {"commit": head, "dirty": False}
    code.write_text("x = 2\n")
    assert git_state(tmp_path) == {"commit": head, "dirty": True}
    git(tmp_path, "commit", "-qam", "second")
    (tmp_path / "glocal_exp" / "new.py").write_text("")
    assert git_state(tmp_path)["dirty"] is True


def test_environment_says_what_ran(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scripts/train.py", "method=glocal", "name=a b"])
    found = environment()
    assert found["command"] == "python scripts/train.py method=glocal 'name=a b'"
    assert found["packages"]["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    age = datetime.now(UTC) - datetime.fromisoformat(found["started"])
    assert 0 <= age.total_seconds() < 60


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("output_dir=/home/me/out", "output_dir=OUTPUT_DIR"),
        ("data_dir='/home/me/my data'", "data_dir=DATA_DIR"),
        ("data_dir=~/data", "data_dir=DATA_DIR"),
        ("+source.data_dir=/data", "+source.data_dir=DATA_DIR"),
        ("from=/home/me/out/runs/a/b/seed=0", "from=RUN_DIR"),
        ("hydra.searchpath=[file:///home/me]", "hydra.searchpath=SEARCHPATH"),
        (f"output_dir={REPOSITORY}/outputs/../results", "output_dir=results"),
        (f'output_dir="{REPOSITORY}"', "output_dir=."),
        (f"output_dir={REPOSITORY}/a,{REPOSITORY}/b", "output_dir=OUTPUT_DIR"),
        (f"from={REPOSITORY}/results/runs/a/seed=0", "from=results/runs/a/seed=0"),
        ("/home/me/configs", "PATH"),
        ("~/configs", "PATH"),
        *((same, same) for same in ("output_dir=../out", "data_dir=a/b", "method=local", "-m")),
        *((same, same) for same in ("data_dir=${oc.env:HOME}/a", "~task.init.momentum", "a=1e-3")),
    ],
)
def test_a_stored_command_names_no_folder_of_the_machine(typed, stored):
    script = str(REPOSITORY / "scripts/train.py")
    assert publishable([script, typed]) == ["python", "scripts/train.py", stored]


@pytest.mark.parametrize("start", ["/home/me/bin/glocal", f"{REPOSITORY}/glocal_exp/__main__.py"])
def test_the_console_command_is_stored_as_it_is_typed(start):
    assert publishable([start, "train", "seed=1"]) == ["glocal", "train", "seed=1"]


def test_no_stored_run_names_a_folder_of_the_machine_that_made_it():
    files = sorted((Path(REPOSITORY) / "results" / "runs").rglob("manifest.json"))
    assert files
    for file in files:
        stored = json.loads(file.read_text())
        for one in (stored, *stored.get("sessions", ())):
            words = shlex.split(one["command"])
            assert [word for word in words if re.search(r"(^|[=,\[:'\"])[/~]", word)] == [], file
