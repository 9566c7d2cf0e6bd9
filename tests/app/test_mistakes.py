"""What users get wrong: one sentence that names the fix, an exit code, nothing on disk."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from glocal_exp.app.main import main

from .commands import ROOT

SMALL = ["preset=smoke", "steps=40", "interval=20", "validation.size=60", "tracker=none"]
LOCAL = [*SMALL, "method=local"]
GLOCAL = [*SMALL, "method=glocal", "method.window=12", "method.delays=3"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GLOCAL_DATA_DIR", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)


def told(arguments: list[str], capsys: pytest.CaptureFixture[str], left: Iterable[str] = ()) -> str:
    """The sentence that a command ends with, after nothing else and with nothing left behind."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    output = capsys.readouterr()
    assert ended.value.code == 2
    assert output.err.count("\n") == 1
    assert output.err.startswith("error: ")
    assert all(line.startswith("data: ") for line in output.out.splitlines())
    assert [path.name for path in Path.cwd().iterdir()] == [*left]
    return output.err


def typed(value: list[str] | str) -> str:
    return " ".join(value) if isinstance(value, list) else ""


CONFIG = [
    # groups
    (["method=glocl"], "no method=glocl; did you mean glocal? choose one of ahead, constant"),
    (["dataset=fmnst"], "no dataset=fmnst; did you mean fmnist? choose one of cifar10"),
    (["experiment=fig2_sdg"], "no experiment=fig2_sdg; did you mean fig2_sgd?"),
    (["method="], "There is no method="),
    (["method=[local]"], "write method=NAME"),
    (["method=Glocal"], "There is no method=Glocal; did you mean glocal?"),
    (["method=glocal.yaml"], "There is no method=glocal.yaml; did you mean glocal?"),
    (["method=../method/local"], "There is no method=../method/local; did you mean local?"),
    (["method=local/"], "There is no method=local/; did you mean local?"),
    (["method=./local"], "There is no method=./local; did you mean local?"),
    (["output_dir="], "output_dir= names no folder"),
    (["seed=range(3)"], "add -m to run them one after another."),
    (["experiment=a/b"], "There is no experiment=a/b; choose one of c1_mnist"),
    (["names.method=../../x"], "names.method=../../x should name a folder inside of output_dir"),
    (["experiment=Fig2_SGD"], "did you mean fig2_sgd?"),
    (["dataset=FMNIST"], "did you mean fmnist?"),
    (["-m", "method=local,Glocal"], "There is no method=Glocal; did you mean glocal?"),
    (["-m", "seed=0,", "1"], "leave no space after a comma"),
    (["seed=0,1,2"], "or write seeds=[0,1,2] to train them in one program."),
    (["steps=40,60"], "add -m to run them one after another."),
    (["tracker=wandb_offline", "tracker.tags=[2024]"], "as 'tracker.tags=[\"2024\"]'."),
    (["tracker=wandb_offline", "tracker.project=2024"], "as 'tracker.project=\"2024\"'."),
    (["tracker=wandb_offline", "tracker.tags=[[a]]"], "should be a list, each of it a word."),
    (["-m", "seed=range(0,0)"], "gives no value at all; write some, as seed=1,2."),
    (["output_dir=~nobody.here/runs"], "no such home folder here; give the whole path."),
    (["from=~nobody.here/runs"], "no such home folder here; give the whole path."),
    (["preset=3"], "write preset=NAME"),
    (["+method=local"], "without +"),
    (["~method"], "every run needs method"),
    (["method=none,local"], "add -m to run them one after another"),
    # keys
    (["learning_rate=1"], "mean task.init.learning_rate or meta_optimizer.learning_rate? `"),
    (["+learning_rate=1"], "mean task.init.learning_rate or meta_optimizer.learning_rate? `"),
    (["sgd.momentum=1"], "did you mean task.init.momentum? `"),
    (["task.momentum=1"], "did you mean task.init.momentum? `"),
    (["nosuchkey=1"], "no setting nosuchkey; `--cfg job` prints the settings"),
    (["+nosuchkey=1"], "no setting nosuchkey; `--cfg job` prints the settings"),
    (["methd=local"], "no setting methd; did you mean method?"),
    (["method.nosuch=1"], "no setting method.nosuch"),
    (["method.windw=1"], "did you mean method.window? method has window, delays"),
    (["methd.window=1"], "no setting methd.window; did you mean method.window? `"),
    (["task.int.momentum=1"], "no setting task.int.momentum; did you mean task.init.momentum? `"),
    (["task=reweight", "task.detach_weight=true"], "did you mean task.detach_weights?"),
    (["model.filters.x=1"], "no setting model.filters.x; `--cfg job` prints the settings"),
    (
        ["method=local"],
        "; method=ema_local, glocal, mean_iterate, split or window_mean would",
    ),
    (["+method.nosuch=1"], "no setting method.nosuch; method has window, delays"),
    (["+method.windw=1"], "did you mean method.window?"),
    (["task.init.nosuch=1"], "no setting task.init.nosuch"),
    (["+task.rule.nosuch=1"], "no setting task.rule.nosuch; task.rule has learning_rate"),
    (["+device.cpu.nosuch=1"], "no setting device.cpu.nosuch; device.cpu has convolution"),
    (["+hypergradient.nosuch=1"], "no setting hypergradient.nosuch"),
    (["+source.sources=3"], "no setting source.sources"),
    (["hydra.run.dir=x"], "hydra.run.dir has no effect here"),
    (["~method.window"], "The settings of method do not fit"),
    # types
    (["seed=abc"], "seed=abc should be a whole number"),
    (["seed=1.5"], "seed=1.5 should be a whole number"),
    (["seed=null"], "seed cannot be null"),
    (["steps=many"], "steps=many should be a whole number"),
    (["seeds=3"], "seeds should be a list"),
    (["seeds=[0,a]"], "seeds[1]=a should be a whole number"),
    (["method.window=abc"], "method.window=abc should be a whole number"),
    (["method.delays=2.5"], "method.delays=2.5 should be a whole number"),
    (["validation.size=abc"], "validation.size=abc should be a number"),
    (["validation.size=true"], "validation.size=True should be a number"),
    (["validation=60"], "set one of them, as validation.NAME"),
    (["carry_tangents=maybe"], "carry_tangents=maybe should be true or false"),
    (["task.init.learning_rate=fast"], "task.init.learning_rate=fast should be a number"),
    (["task.init=3"], "task.init=3 should be several settings"),
    (["meta_optimizer.learning_rate=fast"], "meta_optimizer.learning_rate=fast should be a number"),
    (["model.initializer=nosuch"], "should be torch or lecun_uniform or he_normal"),
    (["model.image_shape=[28]"], "should be a list of 3"),
    (["dmd.rank=[1]"], "dmd.rank=[1] should be a word or a number"),
    (["device.cpu.segment=abc"], "device.cpu.segment=abc should be a whole number"),
    (["device.cpu.seeds=nosuch"], "should be sequential or batched"),
    (["precision=half"], "precision=half is neither float32 nor float64"),
    (["preset=smoke", "data_dir=/nowhere"], "data_dir=/nowhere is not looked at by"),
    (["task.rule._target_=optax.nosuch"], "cannot be imported"),
    (["method._target_=3"], "method._target_=3 cannot be imported: it is no dotted path"),
    (["model._target_=null"], "model._target_=None cannot be imported: it is no dotted path"),
    (["data_dir=${nosuch}"], "'nosuch' not found"),
    # ranges
    (["steps=-5"], "steps=-5 is not a whole number of at least 1"),
    (["steps=50"], "not a multiple of interval=20; try steps=40"),
    (["eval_every=30"], "eval_every=30 is not a positive multiple of interval=20"),
    (["batch_size=0"], "batch_size=0"),
    (["seeds=[]"], "seeds=[] names no seed"),
    (["seeds=[0,0]"], "names a seed twice"),
    (["seed=-1"], "seed=-1 is out of range"),
    (["seed=4294967296"], "seed=4294967296 is out of range"),
    (["method.window=21"], "method.window=21 does not fit interval=20"),
    (["method.delays=0"], "choose from 1 to 11"),
    (["method.delays=12"], "choose from 1 to 11"),
    (["dmd.amplitudes=nosuch"], "choose one of these"),
    # syntax
    (["lone"], "'lone' cannot be read; write KEY=VALUE"),
    (["=3"], "'=3' cannot be read; write KEY=VALUE"),
    (["seeds=[0,1"], "close every bracket and quote"),
    (["dmd={rank:1"], "close every bracket and quote"),
    (["a b=3"], "write KEY=VALUE"),
    (["--nosuch"], "--help shows what there is"),
    (["--cfg", "nosuch"], "--help shows what there is"),
    (["from=nosuch"], "give one that holds config.yaml"),
]
DATA = [
    (["task.init.learning_rate=0"], "start strictly inside of it"),
    (["task.init.momentum=1"], "start strictly inside of it"),
    (["task.transform=nosuch"], "choose one of sigmoid, exp, identity"),
    (["+task.init.nosuch=0.1"], "The optimizer rule does not fit task.init"),
    (["model.filters=0"], "model.filters=0 is below 1, which no size can be"),
    (["model.hidden=-3"], "model.hidden=-3 is below 1, which no size can be"),
    (["model=wide_resnet", "model.groups=0"], "model.groups=0 is below 1"),
    (["task=reweight", "task.weight.hidden=0"], "task.weight.hidden=0 is below 1"),
    (["device.cpu.segment=0"], "segment=0 is not at least 1"),
    (["device.cpu.matmul_precision=nosuch"], "highest, high and default"),
    (["validation.size=0"], "give a count from 1 to 5,999, or a fraction between 0 and 1"),
    (["validation.size=6000"], "give a count from 1 to 5,999"),
    (["validation.size=1.5"], "a fraction between 0 and 1"),
    (["validation.subset=61"], "validation.subset=61 is not from 1 to the 60"),
    (["batch_size=5941"], "batch_size=5941 is larger than the 5,940 training images; lower it"),
    (["dataset=kmnist"], "KMNIST is not embedded: use source=files or source=tfds"),
    (["source=files"], "set data_dir=PATH or the environment variable GLOCAL_DATA_DIR"),
    (["source=files", "data_dir=/nosuch"], "set it, or GLOCAL_DATA_DIR, to the folder that holds"),
    (["source=auto", "data_dir=/nosuch"], "set it, or GLOCAL_DATA_DIR, to the folder that holds"),
]


@pytest.mark.parametrize(("arguments", "fix"), CONFIG, ids=typed)
def test_a_config_at_fault_ends_in_one_sentence(arguments, fix, capsys):
    assert fix in told([*GLOCAL, *arguments], capsys)


@pytest.mark.parametrize(("arguments", "fix"), DATA, ids=typed)
def test_what_only_data_or_platform_show_leaves_nothing_behind_either(arguments, fix, capsys):
    assert fix in told([*LOCAL, *arguments], capsys)


def test_a_sweep_with_a_misspelt_choice_runs_nothing(capsys):
    assert "did you mean glocal?" in told(["-m", *SMALL, "method=none,glocl"], capsys)


@pytest.mark.parametrize("place", ["file", "/proc/nosuch"])
def test_an_output_directory_that_cannot_be_made(place, capsys, tmp_path):
    (tmp_path / "file").touch()
    said = told([*LOCAL, f"output_dir={place}"], capsys, left=["file"])
    assert "choose another output_dir" in said


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.EACCES, "permission denied; choose another output_dir"),
        (errno.EROFS, "read-only file system; choose another output_dir"),
        (errno.ENOSPC, "the disk is full or over its quota; free some space"),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "open", "fsync"])
def test_a_disk_that_refuses_the_first_file(number, fix, call, capsys, monkeypatch):
    """As root nothing is denied for real: here the system's calls are made to fail."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    assert fix in told([*LOCAL, "output_dir=new"], capsys)


def test_a_traceback_is_shown_to_those_who_ask_for_it(capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(SystemExit):
        main([*LOCAL, "seed=abc"])
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last)")
    assert "omegaconf.errors.ValidationError" in error
    said = "error: seed=abc should be a whole number, without point or exponent."
    assert error.splitlines()[-1] == said


SCRIPTS = {path.stem: path for path in (ROOT / "scripts").glob("[a-z]*.py")}
del SCRIPTS["make_bundled_fmnist"]  # a tool for maintainers


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_python_without_the_package_is_told_where_it_is(script, tmp_path):
    command = [sys.executable, "-S", "-E", script, "--help"]  # -S: no installed packages
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "make setup" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_platform_that_is_not_there(tmp_path):
    """In a program of its own, since JAX looks for platforms once."""
    import jax

    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU")
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts/train.py"), "preset=smoke", "device=gpu"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.fullmatch(r"error: device=gpu cannot be had here; .*device=cpu\.\n", ended.stderr)
    assert list(tmp_path.iterdir()) == []
