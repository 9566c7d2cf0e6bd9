"""Estimates beside derivatives of the final loss, on invented intervals whose truths are known."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from glocal_exp.methods.method import Measured, Moment
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.claims import trajectories as claims
from glocal_exp.report.claims.criterion import AGREES, DISAGREES, UNDECIDED
from glocal_exp.report.claims.trajectories import RightMoreOften
from glocal_exp.report.estimators import load_estimator
from glocal_exp.report.objects import load
from glocal_exp.report.starts import right_directions
from glocal_exp.report.truth_points import points, scores

from .synthetic import CONFIGS, draw, table, write_study

NAMES = ("learning_rate", "momentum", "weight_decay")
START = {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 5e-4}
S, OUTER_STEPS, TAU = 2, 10, 100
MEASURED = {
    "h": np.linspace(1.0, 2.0, TAU)[:, None] * np.array([-2.0, 1.0, 0.5]),
    "values": np.linspace(1.0, 0.9, TAU),
    "mean": np.array([-1.0, 0.5, 0.1]),
    "mean_direct": np.zeros(3),
    "mean_value": np.array(0.9),
    "sharpness": np.array(0.1),
}
VALUES = {  # of eight orders: the sign of momentum is certain in a plan, uncertain if kept
    "held": {"learning_rate": np.linspace(-5, -3, 8), "momentum": np.linspace(-1, 1, 8)},
    "plan": {"learning_rate": np.linspace(-2, -1, 8), "momentum": np.linspace(-1, -0.5, 8)},
}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    config = {"steps": OUTER_STEPS * TAU, "interval": TAU, "task": {"init": START}}
    row = {"s": S, "kind": "interval", "validation": 6000, "loss": 0.9, **START}
    units = {f"s{S}.interval.all": ([row], MEASURED)}
    for kind, by_name in VALUES.items():
        for order in range(8):
            about = {"s": S, "kind": kind, "order": order}
            units[f"s{S}.{kind}.order{order}"] = [
                about | {"hyperparameter": name, "value": v[order]} for name, v in by_name.items()
            ]
    write_study(root, "truths", units, config)
    return Context(root, studies=root, configs=CONFIGS)


def test_a_point_gives_methods_what_a_run_would(context):
    (point,), _ = points(context)
    assert (point.setting, point.s, point.outer_steps) == ("lr 0.01, momentum 0.5", S, OUTER_STEPS)
    assert point.names == NAMES
    for name in ("split", "mean_iterate", "local"):
        one = load_estimator(CONFIGS, name)
        wanted = one.method.wanted(TAU)
        steps = list(wanted.steps)
        given = MEASURED | {"h": MEASURED["h"][steps], "values": MEASURED["values"][steps]}
        memory = {"clock": np.array(float((S - 1) * TAU))}
        moment = Moment(S, OUTER_STEPS, TAU, NAMES, memory, START)
        expected = one.method.estimate(Measured(**given), moment).hypergradient
        np.testing.assert_array_equal(one(point), expected)


def test_points_count_where_the_truth_has_a_sign(context):
    (point,), _ = points(context)
    local, lower = (load_estimator(CONFIGS, name) for name in ("local", "lower_both"))
    found = scores([point], [local, lower]).set_index(["estimator", "truth", "hyperparameter"])
    counted = {("held", "learning_rate"), ("plan", "learning_rate"), ("plan", "momentum")}
    assert set(found.loc["local"].index) == counted
    assert found.loc["local", "right"].to_dict() == {
        ("held", "learning_rate"): 1,
        ("plan", "learning_rate"): 1,
        ("plan", "momentum"): 0,
    }
    assert found.loc[("local", "held", "learning_rate"), "ratio"] == pytest.approx(4 / 4)
    assert found.loc[("local", "plan", "momentum"), "ratio"] == pytest.approx(2 / 0.75)
    # A fixed direction has no size.
    assert found.loc["lower both", "right"].sum() == 0
    assert found.loc["lower both", "ratio"].isna().all()


def test_the_table_and_the_figure_say_how_many_points_count(context):
    sheet = table("truths").make(context)
    counted = ["held: learning rate", "plan: learning rate", "plan: momentum"]
    assert sheet.header == ["estimate", *counted]
    assert {"local", "split: plan", "lower both"} <= {row[0] for row in sheet.rows}
    assert sheet.rows[0][1] == "1.00 of 1; 1.0"
    drawing = draw(load(CONFIGS / "figure" / "truths.yaml"), context)
    assert "held 1 of 1, 0 of 1; plan 1 of 1, 1 of 1; schedule 0 of 1, 0 of 1" in drawing.caption
    titles = [axes.get_title() for axes in drawing.figure.axes[:3]]
    assert titles == ["kept to the end", "rates fall", "this interval alone"]


@pytest.mark.parametrize(
    ("of_local", "of_rival", "verdict"),
    [((1, 9), (0, 9), AGREES), ((0, 9), (1, 9), DISAGREES), ((1, 3), (0, 3), UNDECIDED)],
)
def test_signs_are_compared_point_by_point(context, monkeypatch, of_local, of_rival, verdict):
    """Nine points at which one of two is right are sure, three are not."""
    labels = {"local": of_local, "raise both": of_rival, "lower both": of_rival}
    about = {"truth": "plan", "hyperparameter": "momentum"}
    rows = [
        {"estimator": label, "point": place, "right": float(right), **about}
        for label, (right, number) in labels.items()
        for place in range(number)
    ]
    monkeypatch.setattr(claims, "scores", lambda *_: pd.DataFrame(rows))
    criterion = RightMoreOften("plan", ["momentum"], "local", ["raise_both", "lower_both"])
    found = criterion.judge(context)
    number, right = of_local[1], of_local[0] * of_local[1]
    assert found.verdict == verdict
    assert found.ours.startswith(f"right of {number}: {right} (local); ")
    assert found.size == "study truths, lr 0.01, momentum 0.5"


def test_an_estimate_that_needs_more_than_is_stored_has_no_direction(context, tmp_path):
    shutil.copytree(CONFIGS, tmp_path / "configs")
    file = tmp_path / "configs" / "estimator" / "global.yaml"
    file.write_text("defaults: [{/method: global}]\nlabel: global")
    known = replace(context, configs=tmp_path / "configs")
    found = right_directions(known, ["global", "local", "nowhere"], "plan")
    assert found.to_dict("records") == [
        {"method": "local", "right": 0.5, "ratio": pytest.approx(2, abs=1), "points": 2}
    ]
    assert right_directions(replace(known, studies=tmp_path), ["local"], "plan").empty


def test_signs_are_those_of_the_stored_intervals(context, tmp_path):
    found = RightMoreOften("plan", ["learning_rate", "momentum"], "local", ["raise_both"])
    assert found.judge(context).ours == "right of 2: 1 (local); 2 (raise both)"
    with pytest.raises(MissingStudy):
        replace(found, truth="schedule").judge(context)
    with pytest.raises(MissingStudy):
        found.judge(replace(context, studies=tmp_path))
