import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from glocal_exp.app.command import SAME_DIGITS
from glocal_exp.app.command import main as command
from glocal_exp.errors import UserError
from glocal_exp.places import RESULTS
from glocal_exp.report.artifact import Context, MissingRuns, MissingStudy
from glocal_exp.report.build import main
from glocal_exp.report.objects import load
from glocal_exp.report.style import PURPLE

from .synthetic import write_run

REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted((REPOSITORY / "configs").glob("figure/[!_]*.yaml")) + sorted(
    (REPOSITORY / "configs").glob("table/[!_]*.yaml")
)
GROUPED = """
_target_: glocal_exp.report.tables.grouped.Grouped
title: A title.
rows: glocal_exp.report.tables.methods.run_times
settings: {}
columns: [{header: a, entries: b, form: no_form}]
"""
# Fails on any import of what a report must do without, and on any use of the network.
GUARD = """
import runpy, socket, sys
class Barred:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"jax", "jaxlib", "hydra", "wandb", "tensorflow_datasets"}:
            raise ImportError(f"{name} is barred")
sys.meta_path.insert(0, Barred())
def no_network(*_, **__): raise OSError("no network")
socket.socket.connect = socket.getaddrinfo = no_network
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for method in ("none", "local", "glocal", "global"):
        write_run(root, "c1_mnist", method, 0, steps=500)
    return root


def build(kind, *arguments):
    return main(kind, REPOSITORY, [str(argument) for argument in arguments])


def test_scripts_need_no_jax_and_no_network_and_give_the_same_bytes_again(runs, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    assert build("figure", "c1", "--runs", runs, "--out", here) == 0
    command = [sys.executable, "-c", GUARD, str(REPOSITORY / "scripts" / "make_figures.py"), "c1"]
    path = f"{REPOSITORY}:{REPOSITORY / 'scripts'}"  # the second of which Python adds itself
    environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [*command, "--runs", str(runs), "--out", str(there)],
        env=environment, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for ending in ("pdf", "png", "txt"):
        assert (here / f"c1.{ending}").read_bytes() == (there / f"c1.{ending}").read_bytes()


def test_files_hold_what_a_journal_asks_for(runs, tmp_path):
    build("figure", "c1", "--runs", runs, "--out", tmp_path)
    pdf, png = (tmp_path / "c1.pdf").read_bytes(), (tmp_path / "c1.png").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert b"/MediaBox [ 0 0 486 " in pdf  # 6.75 inches of 72 points
    assert int.from_bytes(png[16:20]) == 2025  # at 300 dots an inch
    assert sorted(os.listdir(tmp_path)) == ["c1.pdf", "c1.png", "c1.txt"]


def test_tables_in_three_forms(runs, tmp_path):
    assert build("table", "final_accuracy", "--runs", runs, "--out", tmp_path) == 0
    assert sorted(os.listdir(tmp_path)) == [
        "final_accuracy.csv", "final_accuracy.md", "final_accuracy.tex",
    ]  # fmt: skip
    data = pd.read_csv(tmp_path / "final_accuracy.csv")
    assert data["method"].tolist() == ["none", "local", "glocal", "global"]


def test_missing_runs_say_the_command(runs, tmp_path, capsys):
    where = ["--runs", runs, "--out", tmp_path]
    assert build("figure", "c1", "c2", "fig2", *where) == 0
    output = capsys.readouterr()
    command = f"no stored runs; to make them: glocal reproduce {{}} output_dir={runs.parent}"
    assert output.err.splitlines() == [
        f"error: c2: {command.format('c2_kmnist')}",
        f"error: fig2: {command.format('fig2_sgd fig2_adam')}",
    ]
    assert f"c1: {tmp_path / 'c1'}.{{pdf,png,txt}}" in output.out.splitlines()
    assert build("figure", *where) == 0
    all_of_them = capsys.readouterr().out.splitlines()
    (absent,) = (line for line in all_of_them if "not stored, so left out: " in line)
    assert " c2, " in absent
    assert "`glocal figures c2` says how to make one" in absent
    assert "demo" not in absent
    assert not any(line.startswith(("c2", "fig2", "demo")) for line in all_of_them)


def test_a_command_can_be_pasted_where_folders_have_spaces(tmp_path, capsys):
    runs = tmp_path / "my results" / "runs"
    runs.mkdir(parents=True)
    assert build("figure", "c2", "--runs", runs, "--out", tmp_path) == 1
    assert f"reproduce c2_kmnist 'output_dir={runs.parent}'\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "arguments", "code"),
    [
        ("table", ["table3"], 1),
        ("table", ["final_accuracy"], 0),
        ("table", ["final_accuracy", "--strict"], 1),  # it lacks experiments
        ("table", ["final_accuracy", "table3"], 0),
        ("figure", ["c1", "--strict"], 0),
    ],
)
def test_exit_codes(runs, tmp_path, kind, arguments, code):
    assert build(kind, *arguments, "--runs", runs, "--out", tmp_path) == code


def test_runs_that_nothing_shows_are_drawn_or_named(runs, tmp_path, capsys):
    everything = shutil.copytree(runs, tmp_path / "runs")
    for name in ("mine", "task"):  # which is a word of configs
        write_run(everything, name, "none", 0, steps=500)
    assert build("figure", "--runs", everything, "--out", tmp_path / "figures") == 0
    assert build("table", "--runs", everything, "--out", tmp_path / "tables") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"in no table: mine, task; `glocal compare {everything}` lists them"
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"c1", "forest", "mine", "task"}, (
        "no study of the repository is drawn beside runs from elsewhere"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["figures", "--runs", "none"], "is no directory; give the folder `runs`"),
        (["figures", "fig9"], "There is no figure fig9; choose from c1, c2, c3, "),
        (["tables", "table9"], "There is no table table9; choose from "),
        (["figures", "--run"], "unrecognized arguments: --run; --help shows what there is."),
        (["tables", "--out"], "expected one argument"),
        (["report", "--nope"], "unrecognized arguments: --nope; --help shows what there is."),
        (["figures", "c1", "--runs", "runs", "--out", "file/x"], "a file is where a directory"),
        (["report", "--out", "file/x"], "a file is where a directory"),
    ],
)
def test_mistakes_are_one_sentence(words, sentence, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, value in SAME_DIGITS.items():  # which it sets
        monkeypatch.setenv(name, value)
    (tmp_path / "file").touch()
    (tmp_path / "runs").symlink_to(runs)
    with pytest.raises(SystemExit) as exit:
        command(words, RESULTS)
    assert exit.value.code == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert output.err.startswith("error: ")
    assert sentence in output.err
    assert {*tmp_path.iterdir()} == {tmp_path / "file", tmp_path / "runs"}


def test_a_new_artifact_is_one_python_file_and_one_yaml_file(tmp_path, monkeypatch, capsys):
    package = tmp_path / "brand_new_artifacts"
    package.mkdir()
    (package / "counting.py").write_text(
        "import pandas as pd\n"
        "from glocal_exp.report.tables.grouped import Column, Sheet\n"
        "class Counting:\n"
        "    def __init__(self, label, columns): self.label, self.columns = label, columns\n"
        "    def make(self, context):\n"
        "        data = pd.DataFrame({c: [len(c)] for c in self.columns})\n"
        "        return Sheet(data, [Column(self.label, 'three')], 'Caption.')\n"
    )
    config = tmp_path / "repository" / "configs" / "table" / "counting.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(
        "_target_: brand_new_artifacts.counting.Counting\n"
        "label: ${.columns[0]}\ncolumns: [one, three]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["--runs", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main("table", tmp_path / "repository", arguments) == 0
    assert (tmp_path / "out" / "counting.csv").read_text() == "one,three\n3,5\n"
    assert (tmp_path / "out" / "counting.md").read_text().startswith("| one |\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\n", "names no _target_"),
        ("_target_: glocal_exp.nowhere.X\n", "cannot be used"),
        ("_target_: Grouped\n", "x.yaml cannot be used"),
        ("_target_: [x\n", "x.yaml cannot be used"),
        ("_target_: ${nowhere}\n", "x.yaml cannot be used"),
        ("- Grouped\n", "x.yaml cannot be used: it has no entries of the form KEY: VALUE"),
        ("_target_: glocal_exp.report.tables.grouped.Grouped\nwrong: 1\n", "wrong"),
        (GROUPED, "missing a required argument: 'experiments'"),
        (GROUPED.replace("settings: {", "settings: {experiments: [a], methods: []"), "no_form"),
    ],
)
def test_a_wrong_config_is_named(tmp_path, text, message):
    config = tmp_path / "configs" / "table" / "x.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)) as wrong:
        main("table", tmp_path, ["--out", str(tmp_path / "out")])
    assert "\n" not in str(wrong.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_makes_its_artifact(config):
    maker = load(config)
    assert callable(getattr(maker, "draw" if config.parent.name == "figure" else "make"))
    assert maker.title.endswith(".")


def test_the_papers_numbers_have_sources_and_are_found():
    paper = pd.read_csv(REPOSITORY / "results" / "paper.csv")
    assert not paper.duplicated(["artifact", "quantity", "setting"]).any()
    assert paper["source"].str.startswith("Hataya & Kawahara, ").all()
    context = Context(REPOSITORY, paper)
    printed = {name: context.printed("table3", "run_time", name)
               for name in ("none", "local", "global", "glocal", "local_every")}  # fmt: skip
    assert printed == {
        "none": 11.4, "local": 58.2, "global": 2891.2, "glocal": 58.3, "local_every": None,
    }  # fmt: skip
    assert context.printed("section4", "steps") == 10000


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_commands_for_missing_runs_exist(config, tmp_path):
    maker = load(config)
    make = maker.draw if config.parent.name == "figure" else maker.make
    configs = REPOSITORY / "configs"
    with pytest.raises(MissingRuns) as missing:
        make(Context(tmp_path, studies=tmp_path, configs=configs))
    if isinstance(missing.value, MissingStudy):
        assert (configs / "study" / f"{missing.value.args[0]}.yaml").is_file()
        return
    known = {path.stem for path in (configs / "experiment").glob("*.yaml")}
    assert missing.value.args
    assert set(missing.value.args) <= known


def test_window_mean_is_shown_where_it_is_swept_over(tmp_path):
    """Not among the paper's methods: nothing says that it is missing, but what is stored counts."""
    experiments = REPOSITORY / "configs" / "experiment"
    sweep = yaml.safe_load((experiments / "c3_fmnist.yaml").read_text())["sweep"]
    methods = sweep["method"].split(",")
    assert "window_mean" in methods
    for method in methods:
        for seed in range(3):
            write_run(tmp_path, "c3_fmnist", method, seed, steps=500)
    configs, context = REPOSITORY / "configs", Context(tmp_path)
    table = load(configs / "table" / "final_accuracy.yaml").make(context).data
    (row,) = table[table["method"] == "window_mean"].to_dict("records")
    assert all(row[f"seed_{seed}"] > 0 for seed in range(3))
    drawn = load(configs / "figure" / "c3.yaml").draw(context).figure
    for axes in drawn.axes:
        lines = [line for line in axes.get_lines() if line.get_color() == PURPLE]
        # Seeds and their mean; at the end all seeds together, their interval and their mean.
        assert len(lines) == (3 if axes.get_xlabel() == "seeds" else 3 + 1)
