"""The reweighting task's table and figures, from runs with invented numbers."""

import csv
import json

import numpy as np
import pytest
from matplotlib.container import BarContainer

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.figures.long_tail import ClassAccuracy, WeightCurve
from tests.sealing import reseal

from .synthetic import draw, table, write_run

COUNTS = [500, 50, 5]
LOSSES = [0.0, 0.5, 2.0]
BASE = {"experiment": "base_{data}", "method": "none"}
KINDS = [
    {"label": "none", **BASE, "where": {"names.task": "plain"}},
    {"label": "balanced", **BASE, "where": {"names.task": "cb"}},
    {"label": "glocal", "experiment": "learned_{data}", "method": "glocal"},
]
OF_A = [kind | {"experiment": kind["experiment"].format(data="a")} for kind in KINDS]


def store(
    root, experiment, method, seed, factor, final, task="plain", notice="", model=None, **more
):
    """A run of three records whose last test accuracy is `final`, class c being 10 c points off."""
    config = {
        "names": {"task": task},
        "dataset": {"name": "a", "imbalance": {"factor": factor}},
        "model": model or {"depth": 10},
    }
    data = {
        "title": "A, long-tailed",
        "notice": notice,
        "sizes": {"train": 555, "validation": 60, "test": 300},
        "class_counts": {"train": COUNTS},
    }
    settings = {"steps": 200, "config": config, "manifest": {"data": data}} | more
    path = write_run(root, experiment, method, seed, **settings)
    with open(path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row |= {f"test_class_accuracy/{c}": repr(final - 0.1 * c) for c in range(3)}
        row |= {
            f"hyperparameter/weight_at_{loss:g}": repr(number * loss / 10 + seed / 100)
            for loss in LOSSES
        }
        row["test_accuracy"] = repr(final)
    with open(path / "metrics.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return reseal(path)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed, final in enumerate((0.70, 0.74)):
        store(root, "base_a", "none", seed, 100, final)
        store(root, "learned_a", "glocal", seed, 100, final + 0.02)
    store(root, "base_a", "none", 0, 100, 0.6, task="cb")
    store(root, "base_a", "none", 0, 50, 0.8)
    return Context(root)


def table2(**settings):
    published = {"Others 2000": {"a": {100: 68.91}}}
    invented = {"data": {"a": "A", "b": "B"}, "factors": [100, 50], "published": published}
    return table("table2", kinds=KINDS, **invented | settings)


def test_cells_are_means_and_spreads_of_one_factor_and_task(context):
    sheet = table2().make(context)
    assert sheet.header == ["weighing", "A, 100", "A, 50", "B, 100", "B, 50"]
    dash = "\N{EN DASH}"
    assert sheet.rows == [
        ["none", "72.00 ± 2.83 [2]", "80.00 [1]", dash, dash],  # sd of 70 and 74: sqrt(8)
        ["balanced", "60.00 [1]", dash, dash, dash],
        ["glocal", "74.00 ± 2.83 [2]", dash, dash, dash],
        ["Others 2000*", "68.91", dash, dash, dash],
    ]
    data = sheet.data.set_index(["weighing", "data", "factor"])
    assert data.loc[("none", "A", 100), "mean"] == pytest.approx(72)
    assert data.loc[("none", "B", 50), "seeds"] == 0
    assert data.loc[("Others 2000*", "A", 100), "mean"] == 68.91
    assert sheet.missing == ("base_a", "learned_a", "base_b", "learned_b")
    assert "\n\nbalanced, A = base_a: A, long-tailed; lenet 10; T = 200 steps" in sheet.caption


def test_columns_carry_the_mark_of_a_copy(tmp_path):
    store(tmp_path, "base_a", "none", 0, 100, 0.7, notice="A (copy), long-tailed")
    sheet = table2().make(Context(tmp_path))
    assert sheet.header == ["weighing", "A (copy), 100", "A (copy), 50", "B, 100", "B, 50"]


def test_what_is_complete_has_nothing_missing(tmp_path):
    for task in ("plain", "cb"):
        store(tmp_path, "base_a", "none", 0, 100, 0.7, task=task)
    store(tmp_path, "learned_a", "glocal", 0, 100, 0.7)
    sheet = table2(data={"a": "A"}, factors=[100], published={}).make(Context(tmp_path))
    assert sheet.missing == ()


def test_only_runs_of_the_same_length_and_network_are_compared(tmp_path):
    deep, flat = {"model": {"depth": 28}}, {"model": {"depth": 10}}
    store(tmp_path, "base_a", "none", 0, 100, 0.7, **deep)
    store(tmp_path, "base_a", "none", 0, 50, 0.7, steps=400, **flat)
    store(tmp_path, "base_a", "none", 0, 100, 0.6, task="cb", steps=400, **deep)
    store(tmp_path, "learned_a", "glocal", 0, 100, 0.9, steps=400, **deep)
    sheet = table2(data={"a": "A"}, factors=[50, 100], published={}).make(Context(tmp_path))
    dash = "\N{EN DASH}"
    assert [row[1:] for row in sheet.rows] == [
        [dash, dash],
        [dash, "60.00 [1]"],
        [dash, "90.00 [1]"],
    ]
    assert "T = 400" in sheet.caption
    assert "T = 200" not in sheet.caption


def test_unfinished_runs_are_left_out_and_diverged_ones_marked(tmp_path):
    store(tmp_path, "base_a", "none", 0, 100, 0.7, stop_at=1)
    store(tmp_path, "base_a", "none", 1, 100, 0.6, diverge_at=2)
    sheet = table2().make(Context(tmp_path))
    assert sheet.rows[0][1] == "60.00\N{DAGGER} [1]"
    assert "1 seed (1)" in sheet.caption
    assert "Left out: none seed 0, unfinished." in sheet.caption
    assert "Runs diverged, shown with what they ended with: none 1 of 1." in sheet.caption


def test_what_is_not_there_ends_in_a_sentence(tmp_path):
    path = store(tmp_path, "base_a", "none", 0, 100, 0.7)
    metrics = path / "metrics.csv"
    metrics.write_text(metrics.read_text().replace("weight_at", "other"))
    reseal(path)
    with pytest.raises(UserError, match="has recorded no weights"):
        WeightCurve("Title.", OF_A[:1]).draw(Context(tmp_path))
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["data"]["class_counts"]
    reseal(path, data=manifest["data"])
    with pytest.raises(UserError, match="does not say how many images each class has"):
        ClassAccuracy("Title.", OF_A[:1]).draw(Context(tmp_path))


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ({"label": "none"}, "correct experiment, method"),
        (OF_A[0] | {"metod": "none"}, "correct metod"),
        (OF_A[0] | {"experiment": "base_{dat}"}, r"cannot be read \('dat'\)"),
        (OF_A[0] | {"where": [1]}, "cannot be read"),
        ("none", "correct experiment, label, method"),
    ],
)
def test_a_row_that_is_not_whole_is_refused(entry, wrong, tmp_path):
    with pytest.raises(UserError, match=wrong):
        ClassAccuracy("Title.", [entry]).draw(Context(tmp_path))
    with pytest.raises(UserError, match=wrong):
        table("table2", kinds=[entry], data={"a": "A"}, factors=[100]).make(Context(tmp_path))


def test_nothing_stored_is_said(tmp_path):
    with pytest.raises(MissingRuns, match="base_a"):
        table2().make(Context(tmp_path))
    for maker in (ClassAccuracy("Title.", OF_A), WeightCurve("Title.", OF_A)):
        with pytest.raises(MissingRuns, match="base_a"):
            maker.draw(Context(tmp_path))


def test_bars_are_means_of_the_seeds_by_class(context):
    where = {"dataset.imbalance.factor": 100}
    drawing = draw(ClassAccuracy("Title.", OF_A, where), context)
    (axes,) = drawing.figure.axes
    bars = {c.get_label(): c for c in axes.containers if isinstance(c, BarContainer)}
    heights = {label: [bar.get_height() for bar in bars[label]] for label in bars}
    np.testing.assert_allclose(heights["none"], [72, 62, 52])
    np.testing.assert_allclose(heights["balanced"], [60, 50, 40])
    np.testing.assert_allclose(heights["glocal"], [74, 64, 54])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["500", "50", "5"]
    assert drawing.missing == ()


def test_many_classes_share_bars(tmp_path, monkeypatch):
    monkeypatch.setattr("glocal_exp.report.figures.long_tail.GROUPS", 2)
    store(tmp_path, "base_a", "none", 0, 100, 0.7)
    drawing = draw(ClassAccuracy("Title.", OF_A[:1]), Context(tmp_path))
    (axes,) = drawing.figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], [65, 50])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["500 to 50", "5"]


def test_weights_are_drawn_over_losses_at_four_times(context):
    drawing = draw(WeightCurve("Title.", OF_A[2:]), context)
    (axes,) = drawing.figure.axes
    lines = axes.get_lines()
    assert len(lines) == 4 * (2 + 1)  # times; seeds and their mean
    assert all(np.array_equal(line.get_xdata(), LOSSES) for line in lines)
    # Three records: the first at the start, the last at the end; seeds are 0.01 apart.
    np.testing.assert_allclose(lines[2].get_ydata(), [0.005] * 3)
    np.testing.assert_allclose(lines[-1].get_ydata(), [0.005, 0.105, 0.405])
