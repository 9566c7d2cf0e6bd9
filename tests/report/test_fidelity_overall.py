"""How often estimates are right, how far h_t repeats, and the theorem's left side."""

import numpy as np
import pytest

from glocal_exp.report.artifact import Context
from glocal_exp.report.estimators import load_estimator
from glocal_exp.report.fidelity import Point
from glocal_exp.report.tables.fidelity import truths_agree
from glocal_exp.report.tables.theorem import both_sides

from .synthetic import CONFIGS, table
from .test_fidelity import DECAY, GOAL, IDS, context, trajectory  # noqa: F401

TABLE = table("fidelity_overall", names=IDS)


def point(truths, slopes=None, **intervals) -> Point:
    """Invented, with intervals of 100 steps and 300 steps left."""
    return Point(
        setting="a", seed=0, s=1, outer_steps=4, interval=100,
        names=("learning_rate", "momentum", "weight_decay"),
        intervals={"all": trajectory(), "1000": trajectory()} | intervals,
        playouts={name: np.asarray(h)[None] for name, h in truths.items()},
        slopes=np.array([GOAL] if slopes is None else slopes),
    )  # fmt: skip


@pytest.fixture
def five(monkeypatch):
    """Truths: agreeing, reversed, opposite to the slopes, quarrelling, and one alone."""
    pair = {"base": GOAL, "order1": 1.1 * GOAL}
    found = [
        point(pair, float64=trajectory() + 0.01),
        point({name: -h for name, h in pair.items()}, [-GOAL], float64=2 * GOAL - trajectory()),
        point(pair, [-GOAL]),
        point({"base": GOAL, "order1": -GOAL, "order2": -GOAL}),
        point({"base": GOAL}),
    ]
    monkeypatch.setattr("glocal_exp.report.fidelity.points", lambda _: (found, "invented"))
    return found


def test_truths_agree_with_each_other_and_with_the_slopes(five):
    assert [truths_agree(one) for one in five] == [True, True, False, False, False]


def test_points_are_counted_by_each_truth(five):
    sheet = TABLE.make(Context(CONFIGS, configs=CONFIGS))
    data = sheet.data.set_index("estimator")
    dmd = data.loc["glocal"]  # finds GOAL at every point
    assert (dmd["right"], dmd["right_of"]) == (3, 5)
    assert (dmd["right_by_slopes"], dmd["right_by_slopes_of"]) == (3, 5)
    assert (dmd["right_where_agreed"], dmd["right_where_agreed_of"]) == (1, 2)
    for name in ("learning_rate", "momentum", "weight_decay"):
        assert dmd[f"sign_{name}"] == pytest.approx((1 + 0 + 1 + 1 / 3 + 1) / 5)
        assert dmd[f"sign_{name}_where_agreed"] == pytest.approx(0.5)
    truths = data.loc["another truth"]
    assert (truths["right"], truths["right_of"]) == (3, 4)
    assert "2 of 5 points" in sheet.caption
    row = next(row for row in sheet.rows if row[0] == "glocal")
    assert row[1:5] == ["3 of 5", "3 of 5", "1 of 2", "0.67 [0.50]"]


def test_an_interval_computed_again_is_compared_with_itself(five):
    sheet = TABLE.make(Context(CONFIGS, configs=CONFIGS))
    last = sheet.data.set_index("estimator").loc["local"]
    np.testing.assert_allclose(trajectory()[-1], GOAL, atol=2e-3)
    # 2 GOAL - h ends near GOAL as well; no interval was begun from moved weights.
    assert (last["repeats_float64"], last["repeats_float64_of"]) == (2, 2)
    assert last["repeats_moved_of"] == 0
    assert sheet.rows[1][-1] == "\N{EN DASH}"


def test_an_estimate_that_turns_round_does_not_repeat(five, monkeypatch):
    five[0].intervals["float64"] = -trajectory()
    sheet = TABLE.make(Context(CONFIGS, configs=CONFIGS))
    dmd = sheet.data.set_index("estimator").loc["glocal"]
    assert (dmd["repeats_float64"], dmd["repeats_float64_of"]) == (1, 2)


def test_sensitivity_is_a_row_a_setting_and_interval(context):  # noqa: F811
    sheet = table("sensitivity", steps=[1, 50, 400]).make(context)
    assert [row[1:3] for row in sheet.rows] == [["1", "2"], ["3", "2"]] * 2
    first = sheet.data.iloc[0]
    base, other = trajectory() + 0.1, trajectory() + 0.1
    assert first["float64 t=50"] == np.linalg.norm(base - other) == 0
    assert np.isnan(first["start1 t=1"]), "not stored"
    assert np.isnan(first["float64 t=400"]), "beyond the interval"
    dash = "\N{EN DASH}"
    assert sheet.rows[0][3:] == [dash, dash, "0", *[dash] * 7], "of these only t = 50 is asked for"


def test_both_sides_of_the_theorem_at_a_point():
    """An affine map: Eq. 14 finds GOAL, and e is rounding."""
    h_tau = np.linalg.norm(trajectory()[-1])
    found = both_sides(
        point({"base": 3 * GOAL, "order1": 2 * GOAL}), load_estimator(CONFIGS, "glocal")
    )
    assert found["left"] == pytest.approx(2 * np.linalg.norm(GOAL) / h_tau, rel=1e-6)
    assert found["truths"] == pytest.approx(np.linalg.norm(GOAL) / h_tau, rel=1e-6)
    assert found["truth"] == pytest.approx(3 * np.linalg.norm(GOAL) / h_tau, rel=1e-6)
    assert found["first_term"] < 1e-6
    # One decaying mode; at the last snapshot it has come a window's worth of steps.
    assert 0 < found["second_term"] < DECAY**100 * 10


def test_the_theorem_s_table_counts_points_that_are_covered(context):  # noqa: F811
    sheet = table("theorem_real").make(context)
    assert [row[1] for row in sheet.rows] == ["1", "3"] * 2
    for record, row in zip(sheet.data.to_dict("records"), sheet.rows, strict=True):
        assert record["left"] < 0.05, "GOAL, but for the truth's own one percent"
        assert row[-1] == f"{record['covered']} of 2"
    without_another_truth = sheet.data[sheet.data["s"] == 3]
    assert without_another_truth["truths"].isna().all()
