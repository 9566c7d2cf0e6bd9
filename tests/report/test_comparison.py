"""Runs listed by what differs, chosen, drawn; runs that no figure shows."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from glocal_exp.app.compare import main
from glocal_exp.report.build import main as build
from glocal_exp.report.claims.accuracy import ends
from glocal_exp.report.comparison import compare
from glocal_exp.report.filters import chosen
from glocal_exp.report.selection import select
from glocal_exp.report.settings import differing, label
from glocal_exp.report.tables.grouped import ABSENT
from glocal_exp.store import RunDirectory, find_runs, load_runs
from tests.report.test_build import REPOSITORY

from .synthetic import overwrite, write_run

WINDOWS = [{"method": {"name": "glocal", "window": window}} for window in (60, 80)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two methods, one of them with two windows, at two rates; one run is not at its end."""
    folder = tmp_path_factory.mktemp("compared") / "runs"
    for seed in (0, 1, 2):
        for rate in (0.01, 0.1):
            write_run(
                folder, "mine", "none", seed, start={"learning_rate": rate}, steps=800,
                config={"method": {"name": "none"}},
            )  # fmt: skip
    for seed, config in enumerate(WINDOWS):
        for rate in (0.01, 0.1):
            stop = 4 if (seed, rate) == (1, 0.1) else None
            write_run(
                folder, "mine", "glocal", seed, start={"learning_rate": rate}, steps=800,
                config=config, stop_at=stop, diverge_at=6 if rate == 0.1 else None,
            )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def compared(root):
    return compare(find_runs(root))


def run(*words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_seeds_on_their_way_stay_out_of_a_mean_over_those_at_their_end(tmp_path):
    for seed, stop in ((0, None), (1, None), (2, 4)):
        write_run(tmp_path, "mine", "local", seed, steps=800, stop_at=stop)
    compared = compare(find_runs(tmp_path))
    (row,) = compared.sheet().data.to_dict("records")
    finals = [entry.final["test_accuracy"] for entry in compared.entries if entry.stored.seed < 2]
    assert row["test_accuracy, final"].startswith(f"{np.mean(finals):.4g}")
    assert row["seeds"] == "0-2"


def test_a_reader_that_has_seen_enough_is_no_error(root, tmp_path):
    words = [sys.executable, "-m", "glocal_exp", "compare", str(root)]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_row_has_what_differs_its_seeds_and_how_it_ended(compared, root):
    assert compared.keys == ["method", "method.window", "task.init.learning_rate"]
    data = compared.sheet().data
    assert data[["method", "task.init.learning_rate", "seeds"]].values.tolist() == [
        ["none", "0.01", "0-2"],
        ["none", "0.1", "0-2"],
        ["glocal", "0.01", "0"],
        ["glocal", "0.1", "0"],
        ["glocal", "0.01", "1"],
        ["glocal", "0.1", "1"],
    ]
    assert data["method.window"].tolist() == [ABSENT, ABSENT, "60", "60", "80", "80"]
    assert data["status"].tolist()[-2:] == ["complete", "partial at step 400"]
    assert data["time"].tolist()[0] == "8.0 s"
    frame = load_runs(root, {"method": "none"}, ["task.init.learning_rate"])
    slow = frame[frame["config/task.init.learning_rate"] == 0.01].groupby("seed")["test_accuracy"]
    final, latest = slow.last(), slow.apply(lambda values: values.tail(5).mean())
    row = data.iloc[0]
    assert row["test_accuracy, final"] == f"{final.mean():.4g} ± {final.std():.2g}"
    assert row["test_accuracy, last 5"] == f"{latest.mean():.4g} ± {latest.std():.2g}"
    assert [text.endswith("†") for text in data["test_accuracy, final"]].index(True) == 3


def test_no_hash_is_to_be_read(compared, capsys, root):
    assert run(root) == 0
    table = capsys.readouterr().out
    assert not any(entry.stored.variant.split("-")[1] in table for entry in compared.entries)


def test_what_only_one_choice_has_is_no_difference():
    runs = [
        {"method": "none", "steps": 5, "method.reads": 1},
        {"method": "glocal", "steps": 5, "method.window": 60, "augmentation": "flip_crop"},
        {"method": "glocal", "steps": 5, "method.window": 60, "augmentation.size": 2},
    ]
    assert differing(runs) == ["method", "augmentation"]
    assert differing(runs[:1]) == []


def test_labels_are_short_where_they_can_be():
    run = {"method": "glocal", "task.init.learning_rate": 0.1, "meta_optimizer.learning_rate": 1}
    keys = list(run)
    assert label(run, keys[:2]) == "glocal, learning_rate=0.1"
    assert label(run, keys) == (
        "glocal, task.init.learning_rate=0.1, meta_optimizer.learning_rate=1"
    )


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("method=glocal", 4),
        ("method=glocal,none", 10),
        ("method!=none", 4),
        ("learning_rate=0.1", 5),
        ("learning_rate<1e-1", 5),
        ("task.init.learning_rate<=0.1", 10),
        ("window>60", 2),
        ("status=partial", 1),
        ("seed=1,2", 6),
        ("diverged=true", 1),
        ("step>=800", 9),
    ],
)
def test_conditions(compared, condition, count):
    assert len(chosen(compared, [condition]).entries) == count


def test_a_condition_on_a_last_value(compared):
    bound = np.median([entry.final["test_accuracy"] for entry in compared.entries])
    left = chosen(compared, [f"test_accuracy>{bound}", "method=none"]).entries
    assert 0 < len(left) < 6
    assert all(entry.final["test_accuracy"] > bound for entry in left)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["methdo=none"], "no setting or column methdo; did you mean method?"),
        (["method=nnoe"], "No run is left with method=nnoe; it is glocal or none."),
        (["learning_rate<small"], "small is no number"),
        (["--metrics", "test_acuracy"], "no column test_acuracy; did you mean test_accuracy?"),
        (["--draw", "learning_rte"], "did you mean hyperparameter/learning_rate?"),
        (["--draw", "test_accuracy", "--against", "method"], "what is drawn against is a number"),
        (["--drow", "x"], "unrecognized arguments: --drow x"),
        (["--out", "."], "argument --out: '.' names no file"),
        (["--csv", "/"], "argument --csv: '/' names no file"),
        (["nowhere"], "There is no folder nowhere; give one of runs, or KEY=VALUE."),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(root, tmp_path, capsys, words, told):
    folder = [] if words == ["nowhere"] else [root]
    assert run(*folder, *words, "--out", tmp_path / "x", "--csv", tmp_path / "x.csv") == 2
    output = capsys.readouterr()
    assert told in output.err
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_left_out_and_named(tmp_path, capsys):
    for seed in (0, 1):
        path = write_run(tmp_path, "mine", "none", seed, steps=200)
    (path / "metrics.csv").write_text("seed\n1\n")
    assert run(tmp_path) == 0
    (line,) = [s for s in capsys.readouterr().out.splitlines() if s.startswith("Left out: ")]
    assert str(path) in line
    assert "metrics.csv changed" in line
    assert run(tmp_path, "seed=0") == 0
    assert [run(folder) for folder in (path.parents[1], path.parent, path)] == [0, 0, 2]
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty") == 2


def test_every_seed_is_drawn_in_pictures_and_a_row_a_run_in_the_file(root, tmp_path, capsys):
    out, table = tmp_path / "pictures" / "one.two", tmp_path / "runs.csv"
    words = ["method=none", "--draw", "test_accuracy,learning_rate", "--out", out, "--csv", table]
    assert run(root, *words) == 0
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "one.two.pdf", "one.two.png", "one.two.txt",
    ]  # fmt: skip
    assert "3 seeds (0, 1, 2)" in out.with_name("one.two.txt").read_text()
    frame = pd.read_csv(table)
    assert frame["seed"].tolist() == [0, 1, 2] * 2
    assert frame["task.init.learning_rate"].tolist() == [0.01] * 3 + [0.1] * 3
    stored = find_runs(root, {"method": "none"})[0]
    row = frame[frame["path"] == str(stored.path)].iloc[0]
    assert row["final test_accuracy"] == pytest.approx(stored.metrics()["test_accuracy"].iloc[-1])
    assert str(out.with_name("one.two.png")) in capsys.readouterr().out


@pytest.mark.parametrize("against", [[], ["--against", "learning_rate"]])
def test_a_page_has_every_run_and_switches_for_kinds_and_seeds(root, tmp_path, against):
    words = ["method=none", "--draw", "test_accuracy,learning_rate", "--html", *against]
    assert run(root, *words, "--out", tmp_path / "one") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["one.html"]
    page = (tmp_path / "one.html").read_text()
    panels = json.loads(re.findall(r'<script type="application/json">(.+)</script>', page)[0])
    assert len(panels) == 2
    for panel in panels:
        of_seeds = [trace["meta"] for trace in panel["data"] if trace["meta"]["seed"] != "mean"]
        assert sorted(meta["seed"] for meta in of_seeds) == ["0", "0", "1", "1", "2", "2"]
        buttons = set(re.findall(r'data-key="(\w+)" data-value="([^"]+)"', page))
        assert {(key, value) for meta in of_seeds for key, value in meta.items()} <= buttons
    stored = find_runs(root, {"method": "none"})[0]
    last = float(f"{stored.metrics()['test_accuracy'].iloc[-1] * (1 if against else 100):.5g}")
    drawn = [trace["y"][-1] for trace in panels[0]["data"]]
    assert last in drawn


def test_last_values_over_a_setting(compared):
    from glocal_exp.report.figures.compared import draw_ends

    axes = draw_ends(
        chosen(compared, ["method=none"]), ["test_accuracy"], "task.init.learning_rate"
    )
    points, means = axes.figure.axes[0].get_lines()
    assert len(points.get_xdata()) == 6
    assert means.get_xdata().tolist() == [0.01, 0.1]
    assert points.get_ydata()[:3].mean() == pytest.approx(means.get_ydata()[0])


def test_runs_that_no_figure_shows_are_drawn_even_as_they_run(root, tmp_path, capsys):
    path = write_run(tmp_path / "runs", "mine", "none", 0, steps=800, stop_at=3)
    with RunDirectory(path):
        words = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "figures")]
        assert build("figure", REPOSITORY, words) == 0
        assert run(tmp_path) == 0
    assert "running at step 300" in capsys.readouterr().out
    assert (tmp_path / "figures" / "mine.png").stat().st_size > 0
    assert "1 seed (0)" in (tmp_path / "figures" / "mine.txt").read_text()
    words[1] = str(root)
    assert build("figure", REPOSITORY, words) == 0
    text = (tmp_path / "figures" / "mine.txt").read_text()
    assert text.startswith("Runs that differ in method, method.window, task.init.learning_rate. ")


def test_what_was_measured_before_training_is_no_late_evaluation(tmp_path):
    path = write_run(tmp_path, "a", "none", 0, steps=300)
    (run,) = find_runs(tmp_path)
    measured = 100 * run.metrics()["test_accuracy"]
    assert len(measured) == 4
    assert 100 * run.ends["latest"]["test_accuracy"] == pytest.approx(measured[1:].mean())
    assert ends(select(tmp_path, "a").runs) == {0: pytest.approx(measured[1:].mean())}
    overwrite(path, "test_accuracy", [0.1, np.nan, np.nan, np.nan])
    assert ends(select(tmp_path, "a").runs) == {0: pytest.approx(10)}
