import subprocess
import sys
from datetime import UTC, datetime

import numpy as np

from glocal_exp.store import environment
from glocal_exp.store.manifest import git_state


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
