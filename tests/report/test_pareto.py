"""Costs and gains of runs whose ends are known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml

from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.objects import instantiate
from glocal_exp.report.starts import SWEPT, TANGENT, Group, cells, gains, plain_steps, reached

from .synthetic import CONFIGS, draw, reading, table, write_from, write_study
from .test_truths import context as context_of_truths  # noqa: F401

GROUPS = {
    meta: Group(title, {"choices.meta_optimizer": meta})
    for meta, title in (("adam", "Adam"), ("mean_sign", "signs"), ("sgd", "rivals"))
}
STARTS = [0.01, 0.1]
GAIN = {("local", "adam"): 2, ("glocal", "adam"): 1, ("local", "mean_sign"): 3}
RIVAL = ("window_mean", "sgd")
GAIN |= {RIVAL: 4}
SETTINGS: dict[str, Any] = {"experiment": "recovery", "groups": GROUPS, "starts": STARTS}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for start in STARTS:
        for seed in (0, 1, 2)[: 3 if start == STARTS[0] else 2]:  # one that has not every start
            for method, meta in (("none", "adam"), *GAIN):
                gain = GAIN.get((method, meta), 0) * (1 + seed) * (2 if start == 0.1 else 1)
                write_from(root, method, start, seed, 80 + gain, meta)
    return Context(root, studies=root, configs=CONFIGS)


def test_gains_are_paired_by_start_and_seed(context):
    found = gains(context, **SETTINGS)[0].set_index(["meta_optimizer", "method"])
    kinds = {("adam", "local"), ("adam", "glocal"), ("mean_sign", "local")}
    assert set(found.index) == kinds | {RIVAL[::-1]}
    local = found.loc[("adam", "local")]
    assert local["gain"] == pytest.approx(np.mean([3, 6]))  # a mean over the starts of each seed
    assert local["low"] == pytest.approx(4.5 - 12.7062 * 1.5, abs=1e-3)
    assert (local["runs"], local["starts"], local["seeds"]) == (4, 2, 2)
    assert found["front"].to_dict() == {
        ("adam", "local"): True,
        ("adam", "glocal"): False,  # costs more and gains less
        ("mean_sign", "local"): True,
        RIVAL[::-1]: True,
    }


def test_a_cost_is_what_its_steps_and_images_are_worth(context):
    (cell, *_) = cells(context, "recovery", GROUPS)
    none, local = cell.selection.of("none")[0], cell.selection.of("local")[0]
    assert plain_steps(none) == 2000
    # Three tangents, and 20 gradients on 6,000 images.
    expected = (1 + 3 * TANGENT) * 2000 + 20 * 6000 / 128
    assert plain_steps(local) == pytest.approx(expected)
    assert SWEPT < 1 + 2 * TANGENT  # why reverse mode is taken from two tangents on


def test_when_a_level_is_reached(context):
    run = cells(context, "recovery", GROUPS)[0].selection.of("none")[0]
    curve = run.curve("test_accuracy")
    level = float(curve.iloc[3])
    assert reached(run, level) <= 3 / 20
    again = run.metrics.assign(plain_steps=20 * run.metrics["plain_steps"])  # 20 trainings
    assert reached(replace(run, metrics=again), level) == pytest.approx(20 * reached(run, level))
    assert np.isnan(reached(run, 2.0))


def test_what_has_no_seed_from_every_start_is_not_compared(context):
    with pytest.raises(MissingRuns):
        gains(context, "recovery", GROUPS, [*STARTS, 0.5])


def test_a_search_counts_what_it_has_chosen_so_far(context, tmp_path):
    """Of whole searches of the same trainings, over constants that have every start."""
    chosen, config = [0.5, 0.9, 0.95], {"experiment": "recovery", "steps": 2000}
    for seed, changes in ((0, {}), (1, {}), (2, {}), (3, {"steps": 10}), (4, {"experiment": "x"})):
        rows = [
            {"trial": trial, "chosen_test_accuracy": value - 0.1 * seed}
            for trial, value in enumerate(chosen)
        ]
        choices = {"search@study": "random"}
        write_study(
            tmp_path, "search", {"search": rows}, config | changes, seed=seed, choices=choices
        )
    groups = GROUPS | {"sgd": replace(GROUPS["sgd"], trials=[1, 2, 4])}
    found: Any = gains(replace(context, studies=tmp_path), "recovery", groups, STARTS)[0]
    rows = found[found["method"] == "random"].set_index("cost")
    assert rows.index.tolist() == [1, 2]  # of four trainings there is no search
    # Seed 2 lacks a start.
    assert rows["gain"].tolist() == pytest.approx([-35, np.mean([90 - 80, 80 - 80])])
    assert rows["seeds"].tolist() == [2, 2]
    assert rows["meta_optimizer"].tolist() == ["sgd", "sgd"]


@pytest.mark.parametrize("truths", [False, True])
def test_the_figure_and_the_table_show_them(context, truths, request, tmp_path):
    if truths:
        studies = request.getfixturevalue("context_of_truths").studies
        context = replace(context, studies=studies)
    maker = {"_target_": "glocal_exp.report.figures.starts.Pareto", "title": "Title."}
    maker |= SETTINGS | {"truth": "plan"}
    drawing = draw(instantiate(maker | {"reading": reading("figure/pareto")}, CONFIGS), context)
    first = [""] * truths
    titles = [*first, "Adam", "Adam", *first, "signs", "signs", "rivals", "rivals"]
    assert [axes.get_title() for axes in drawing.figure.axes] == titles
    if truths:
        # Of the rate's derivative local has the sign, of momentum's it has not.
        assert drawing.figure.axes[0].lines[0].get_ydata()[0] == 50
    (tmp_path / "figure").mkdir()
    of_group = {"_target_": "glocal_exp.report.starts.Group"}
    groups = {meta: of_group | vars(group) | {"tuning_free": []} for meta, group in GROUPS.items()}
    (tmp_path / "figure/pareto.yaml").write_text(yaml.safe_dump(maker | {"groups": groups}))
    rows = table("pareto").make(replace(context, configs=tmp_path)).rows
    names = [["Adam", "local"], ["", "glocal"], ["signs", "local"], ["rivals", "window mean"]]
    assert [row[:2] for row in rows] == names
    assert [row[-1] for row in rows] == ["on it", "", "on it", "on it"]
