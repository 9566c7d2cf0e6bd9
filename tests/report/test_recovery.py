"""Runs from several starts, under several meta optimizers."""

import numpy as np
import pytest

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.figures.starts import BAND, Recovery
from glocal_exp.report.starts import Group, cells

from .synthetic import CONFIGS, draw, overwrite, reading, table, write_from, write_run

METHODS = ["none", "local"]
GROUPS = {
    "adam": Group("Adam", {"choices.meta_optimizer": "adam"}),
    "mean_sign": Group("signs", {"choices.meta_optimizer": "mean_sign"}),
    "own": Group("rivals", {"choices.meta_optimizer": "sgd"}, ["dog"]),
}
CHOSEN = {"choices": {"task": "dog"}}
DOG = {"_target_": "glocal_exp.tasks.fixed_optimizer.FixedOptimizer", "init": {}}
ENDS = {("none", 0.01): 70, ("none", 0.1): 85, ("local", 0.01): 80, ("local", 0.1): 86}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for (method, start), end in ENDS.items():
        for meta, more in (("adam", 0), ("mean_sign", 3)):
            if method == "none" and meta != "adam":
                continue  # nothing that it would move
            for seed in (0, 1):
                write_from(root, method, start, seed, end + more + seed, meta)
    shorter = {"learning_rate": 0.01}  # which nothing here is compared with
    adam = {"choices": {"meta_optimizer": "adam"}}
    write_run(root, "recovery", "glocal", 0, steps=1000, start=shorter, manifest=adam)
    for seed in (0, 1):
        path = write_run(root, "recovery", "none", seed, manifest=CHOSEN, config={"task": DOG})
        overwrite(path, "test_accuracy", [(82 + seed) / 100])
    return Context(root, configs=CONFIGS)


def test_constant_hyperparameters_are_in_every_meta_optimizers_cells(context):
    found = cells(context, "recovery", GROUPS)
    assert [(c.meta_optimizer, c.start) for c in found] == [
        (meta, start) for meta in GROUPS for start in (0.01, 0.1)
    ]
    ends = [c.selection.finals(m)[0] for c in found[:4] for m in METHODS]
    np.testing.assert_allclose(ends, [70, 80, 85, 86, 70, 83, 85, 89])
    with pytest.raises(MissingRuns):
        cells(context, "other", GROUPS)


def test_an_optimizer_that_needs_no_rate_stands_at_every_start(context):
    found = [c for c in cells(context, "recovery", GROUPS) if c.meta_optimizer == "own"]
    ends = [[c.selection.finals(m)[1] for m in ("none", "dog")] for c in found]
    np.testing.assert_allclose(ends, [[71, 83], [86, 83]])


def test_the_table_compares_within_a_cell(context):
    data = table("recovery", subject="local").make(context).data
    assert data["method"].tolist() == ["none", "local"] * 4 + ["none", "dog"] * 2
    np.testing.assert_allclose(data["difference"].dropna(), [10, 1, 13, 4])


def test_the_figure_draws_each_seed_and_what_is_gained(context):
    figure = Recovery("Title.", "recovery", GROUPS, reading=reading("figure/recovery"))
    drawing = draw(figure, context)
    upper, _, own, lower, _, _ = drawing.figure.axes
    np.testing.assert_allclose(
        np.asarray(upper.lines[0].get_ydata()), [70.5, 85.5]
    )  # none, two seeds
    np.testing.assert_allclose(np.asarray(lower.lines[0].get_ydata()), [10, 1])
    assert own.get_title() == "rivals"
    assert BAND[0] <= lower.get_ylim()[0]
    assert "2 seeds (0, 1)" in drawing.caption
    assert [text.get_text() for text in lower.get_xticklabels()] == ["0.01", "0.1"]
