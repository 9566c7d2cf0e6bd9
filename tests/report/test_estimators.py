"""Estimators are methods on stored trajectories, each a file of configs/estimator."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.glocal import Glocal
from glocal_exp.methods.method import Moment
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.report.estimators import Estimator, estimators, load_estimator
from glocal_exp.report.fidelity import points

from .synthetic import CONFIGS, table
from .test_fidelity import DECAY, GOAL, context, trajectory  # noqa: F401

PAPER = Glocal(80, 10, 1, HankelDMD(), SteadyStateEstimator())
FILES = sorted((CONFIGS / "estimator").glob("*.yaml"))
NEWCOMER = """
from dataclasses import dataclass
import numpy as np
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted

@dataclass(frozen=True)
class Median(Method):
    window: int

    def wanted(self, interval: int) -> Wanted:
        return Wanted(range(interval - self.window, interval))

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        assert (moment.outer_steps, moment.interval, len(moment.names)) == (4, 100, 3)
        return Estimate(np.median(measured.h, axis=0))
"""


@pytest.fixture
def scratch(tmp_path, context):  # noqa: F811
    """A context whose configs may be added to."""
    shutil.copytree(CONFIGS, tmp_path / "configs")
    return replace(context, configs=tmp_path / "configs")


def add(scratch, name, text):
    (scratch.configs / "estimator" / f"{name}.yaml").write_text(text)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("glocal", {}),
        ("glocal_window_40", {"window": 40}),
        ("glocal_stride_4_1000_images", {"stride": 4, "delays": 3}),
        ("glocal_threshold", {"dmd": HankelDMD(rank="hard_threshold")}),
        ("glocal_total", {"dmd": HankelDMD(regression="total_least_squares")}),
        (
            "glocal_threshold_backward",
            {"dmd": HankelDMD(rank="hard_threshold", regression="forward_backward")},
        ),
        ("glocal_finite_horizon", {"steady_state": SteadyStateEstimator(horizon="finite")}),
        (
            "glocal_stride_4_1000_images_else_nearest",
            {"stride": 4, "delays": 3, "steady_state": SteadyStateEstimator(fallback="nearest")},
        ),
    ],
)
def test_settings_are_the_methods_own_with_changes(name, changes):
    assert load_estimator(CONFIGS, name).method == replace(PAPER, **changes)


def test_every_file_is_an_estimator_with_a_label_and_a_place():
    made = [load_estimator(CONFIGS, file.stem) for file in FILES]
    assert len({one.label for one in made}) == len({one.order for one in made}) == len(FILES) == 37
    assert all(np.isfinite(one.order) for one in made)
    assert {one.label: one.validation for one in made if one.validation} == {
        "local, 1,000 images": 1000,
        "glocal, 1,000 images": 1000,
        "glocal, 250 images": 250,
        "glocal, stride 4, 1,000 images": 1000,
        "glocal, stride 4, 1,000 images, else nearest": 1000,
    }


def test_estimates_are_those_of_the_methods(context):  # noqa: F811
    """Of an affine map the steady state is exact, whatever the window."""
    point, h = points(context)[0][0], trajectory()
    assert point.moment == Moment(1, 4, 100, point.names)
    for name, expected, tolerance in (
        ("local", h[-1], 0),
        ("window_mean", h[20:].mean(axis=0), 1e-12),
        ("glocal", GOAL, 1e-6),
        ("glocal_window_40", GOAL, 1e-6),
        ("glocal_stride_4", GOAL, 1e-6),
        ("local_1000_images", h[-1] + 0.1, 1e-12),
        ("glocal_finite_horizon", GOAL + DECAY**300 * (h[-1] - GOAL), 1e-6),
        ("glocal_250_images", np.full(3, np.nan), 0),  # not stored
    ):
        found = load_estimator(CONFIGS, name)(point)
        np.testing.assert_allclose(found, expected, rtol=tolerance, err_msg=name)
    seldom = Estimator("", WindowMean(window=15, stride=4))
    np.testing.assert_allclose(seldom(point), h[[-13, -9, -5, -1]].mean(axis=0))
    assert seldom.gradients(point) == 4
    np.testing.assert_allclose(load_estimator(CONFIGS, "local")(point, "float64"), h[-1] + 0.1)


def test_a_new_method_is_one_python_file_and_one_yaml_file(scratch, tmp_path, monkeypatch):
    (tmp_path / "brand_new_method.py").write_text(NEWCOMER)
    add(scratch, "median", "label: median\nmethod: {_target_: brand_new_method.Median, window: 9}")
    monkeypatch.syspath_prepend(tmp_path)
    without = [file.stem for file in FILES if file.stem != "local"]
    sheet = table("fidelity", without=without).make(scratch)
    assert [row[:2] for row in sheet.rows] == [
        ["another truth", "\N{EN DASH}"], ["local", "1"], ["median", "9"]
    ]  # fmt: skip
    data = sheet.data.set_index("estimator").loc["median"]
    middle = trajectory()[-5]
    expected = np.linalg.norm(middle - GOAL) / np.linalg.norm(GOAL)
    np.testing.assert_allclose(data["error"], expected, rtol=0.05)  # the truth's own one percent


def test_what_needs_more_than_is_stored_is_left_out_and_said(scratch):
    add(scratch, "played_out", "defaults: [{/method: global}]\nlabel: global")
    ids = ["local", "mean_iterate", "played_out"]
    for maker in (table("fidelity", names=ids), table("fidelity_overall", names=ids)):
        sheet = maker.make(scratch)
        assert [row[0] for row in sheet.rows] == ["another truth", "local"]
        said = "Left out, since they need more than is stored: h at the mean iterate; global."
        assert said in sheet.caption
    found = points(scratch)[0]
    assert estimators(CONFIGS, found, ["local"]) == ([load_estimator(CONFIGS, "local")], [])
    with pytest.raises(UserError, match="no estimator can be made"):
        estimators(scratch.configs, found, ["played_out"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label: a", r"/wrong\.yaml names no method"),
        ("label: a\nwindow: 3\nmethod: {_target_: glocal_exp.methods.local.Local}", "window"),
        ("defaults: [glocal]\nmethod: {windows: 3}", r"/wrong\.yaml cannot be used: .*windows"),
        ("defaults: [nowhere]\nlabel: a", r"there is no .*/estimator/nowhere\.yaml"),
        ("defaults: [{/dmd: nowhere}]\nlabel: a", r"there is no .*/dmd/nowhere\.yaml"),
    ],
)
def test_a_wrong_file_is_named(scratch, text, message):
    add(scratch, "wrong", text)
    with pytest.raises(UserError, match=message):
        load_estimator(scratch.configs, "wrong")
