"""The command `glocal`, in a checkout and installed from a wheel into another place."""

import importlib
import subprocess
import sys
import sysconfig
import venv

import pytest

from glocal_exp import __version__
from glocal_exp.app.command import COMMANDS, main
from glocal_exp.places import ROOT
from glocal_exp.store.files import read_manifest


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_each_command_explains_itself(command, capsys):
    module = importlib.import_module(f"glocal_exp.{command.module}")
    with pytest.raises(SystemExit) as ended:
        module.main(arguments=["--help"], **command.options)
    assert not ended.value.code
    assert "usage: glocal" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--version"], 0, f"glocal {__version__}\n"),
        ([], 0, "usage: glocal COMMAND"),
        (["trian"], 2, "error: There is no command trian; did you mean train? choose one of "),
        (["figures", "--runs", "nowhere"], 2, "error: --runs=nowhere is no directory"),
    ],
)
def test_the_first_word(words, code, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    output = capsys.readouterr()
    assert ended.value.code == code
    assert told in (output.err if code else output.out)


@pytest.mark.slow
def test_an_installed_wheel_trains_and_draws_in_the_folder_it_is_called_in(tmp_path):
    """With the packages of this Python, but not this checkout, beside it."""

    def run(*words: object) -> str:
        done = subprocess.run(
            [str(word) for word in words], cwd=tmp_path, env={"HOME": str(tmp_path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "--no-deps", ROOT, "--wheel-dir", tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("*.whl")
    run(python, "-m", "pip", "install", "--no-deps", wheel)
    (packages,) = (tmp_path / "venv" / "lib").glob("*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    glocal = tmp_path / "venv" / "bin" / "glocal"
    assert run(glocal, "--version") == run(python, "-m", "glocal_exp", "--version")
    tiny = ["preset=smoke", "source=bundled", "tracker=none", "steps=40", "interval=20"]
    run(glocal, "train", *tiny, "method=none", "batch_size=8", "experiment=c3_fmnist")
    (stored,) = (tmp_path / "outputs" / "runs").glob("c3_fmnist/none-*/seed=0")
    assert read_manifest(stored)["command"].startswith("glocal train preset=smoke ")
    assert "c3: outputs/figures/c3.{pdf,png,txt}" in run(glocal, "figures", "c3")
    assert "Not the paper's full size" in (tmp_path / "outputs/figures/c3.txt").read_text()
    assert not (tmp_path / "results").exists()
