"""The fidelity of estimates, on invented trajectories whose truth is known."""

import numpy as np
import pytest

from glocal_exp.methods.method import Moment
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.fidelity import ceiling, differences, points, score
from glocal_exp.report.figures.fidelity import FidelityFigure, SensitivityFigure, horizon
from glocal_exp.report.formats import ABSENT
from glocal_exp.report.objects import entries, instantiate, load
from glocal_exp.report.vectors import cosine, relative_error, same_signs

from .synthetic import CONFIGS, draw, table, write_study

GOAL = np.array([-0.4, 0.1, 2e-4])  # in the order of the hypergradient
NAMES = ("learning_rate", "momentum", "weight_decay")
DECAY = 0.93
IDS = ["local", "window_mean", "glocal"]


def trajectory(size: float = 1.0) -> np.ndarray:
    """Towards GOAL, by a factor of DECAY a step."""
    start = GOAL + size * np.array([1.0, -1.0, 1e-3])
    return GOAL + DECAY ** np.arange(1, 101)[:, None] * (start - GOAL)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """Two settings with two seeds each; two intervals, the last without a second truth."""
    return stored(tmp_path_factory.mktemp("studies"), rates=(0.1, 0.01), seeds=(0, 1))


def stored(root, rates, seeds):
    for rate in rates:
        for seed in seeds:
            config = {"steps": 400, "interval": 100, "study": {}}
            config |= {"task": {"init": {"learning_rate": rate, "momentum": 0.5}}}
            config["task"]["init"]["weight_decay"] = 5e-4
            units = {}
            for s in (1, 3):
                units |= at_point(s, np.random.default_rng([seed, s]))
            write_study(root, "fidelity", units, config, f"variant{rate}", seed)
    return Context(root, studies=root, configs=CONFIGS)


def at_point(s, rng):
    """The units of one interval."""
    at, units = {"s": s}, {}
    for name, other in (("all", 0.0), ("1000", 0.1), ("float64", 0.1)):
        rows = [at | {"kind": "interval", "variation": "base"}]
        units[f"s{s}.interval.{name}"] = rows, {"h": trajectory() + other}
    for name in ("base", "float64", "order1") if s == 1 else ("base",):
        truth = GOAL * (1 + 0.01 * rng.normal(size=3))
        rows = [at | {"kind": "truth", "variation": name}]
        units[f"s{s}.truth.{name}"] = rows, {"h": np.tile(truth, (5 - s, 1))}
    units[f"s{s}.slope.0.1.base"] = [
        at | {"kind": "slope", "variation": "base", "hyperparameter": name, "slope": sign * 0.1}
        for name, sign in zip(NAMES, (-1, 1, 1), strict=True)
    ]
    return units


def test_points_are_read_as_they_were_measured(context):
    found, source = points(context)
    assert [(p.setting, p.seed, p.s) for p in found] == [
        (f"lr {rate}, momentum 0.5", seed, s) for rate in (0.01, 0.1) for seed in (0, 1)
        for s in (1, 3)
    ]  # fmt: skip
    first = found[0]
    assert first.names == NAMES
    assert first.moment == Moment(1, 4, 100, NAMES)
    assert set(first.truths) == {"base", "float64", "order1"}
    np.testing.assert_array_equal(first.slopes, [[-0.1, 0.1, 0.1]])
    np.testing.assert_array_equal(first.intervals["all"], trajectory())
    assert source.startswith(f"fidelity: {4 * (3 + 1) * 2 + 4 * (3 + 1)} units, seed 0, 1; ")


def test_scores_against_known_truths(context):
    point = points(context)[0][0]
    found = score(point, -GOAL)
    assert found["cosine"] == pytest.approx(-1, abs=1e-3)
    assert found["error"] == pytest.approx(2, abs=0.05)
    assert [found[f"sign_{name}"] for name in NAMES] == [0, 0, 0]
    assert (found["above"], found["signs"], found["slope_signs"]) == (0, 0, 0)
    right = score(point, GOAL)
    assert (right["above"], right["signs"], right["slope_signs"]) == (1, 1, 1)
    assert right["slope_cosine"] == pytest.approx(cosine(GOAL, np.array([-0.1, 0.1, 0.1])))
    best = ceiling(point)
    assert 0.999 < best["cosine"] <= 1
    assert 0 < best["error"] < 0.05
    assert np.isnan(ceiling(points(context)[0][1])["cosine"])


def test_the_vectors_that_are_compared():
    assert cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(0.5**0.5)
    assert np.isnan(cosine(np.zeros(2), np.ones(2)))
    np.testing.assert_array_equal(
        same_signs(np.array([1.0, -1.0, np.nan]), np.ones(3)), [1, 0, np.nan]
    )
    assert relative_error(np.array([3.0, 0.0]), np.array([0.0, 4.0])) == pytest.approx(5 / 4)
    for other in (np.array([np.nan, 1.0]), np.zeros(2)):
        assert np.isnan(cosine(other, np.ones(2)))
    assert np.isnan(relative_error(np.array([np.nan, 1.0]), np.ones(2)))


def test_the_table_has_a_row_an_estimator(context):
    sheet = table("fidelity", names=IDS).make(context)
    assert [row[0] for row in sheet.rows] == ["another truth", "local", "window mean", "glocal"]
    assert [row[1] for row in sheet.rows] == [ABSENT, "1", "80", "80"]
    data = sheet.data.set_index(["estimator", "setting"])
    setting = "lr 0.1, momentum 0.5"
    assert data.loc[("glocal", setting), "cosine"] > 0.999
    assert data.loc[("glocal", setting), "error"] < 0.03
    assert data.loc[("window mean", setting), "error"] > 0.1
    assert data.loc[("glocal", setting), "slope_signs"] == 1
    assert "seeds 0, 1; 4 points" in sheet.caption


def test_settings_are_tried_in_all_combinations(context):
    """The second estimate sees a few last values alone, which is enough for a single decay."""
    grid, kinds = [(80, 10), (20, 2)], {"dmd": {}, "far": {"horizon": "finite"}}
    maker = table("fidelity_settings", kinds=kinds, grid=grid, validation=[None])
    sheet = maker.make(context)
    assert [row[0] for row in sheet.rows] == ["another truth", "local", "dmd", "far"]
    assert sheet.header == ["estimate", "[1] s = 1", "[1] s = 3", "[2] s = 1", "[2] s = 3"]
    data = sheet.data.set_index(["estimator", "setting", "s"])
    dmd = data.loc[("dmd", "lr 0.1, momentum 0.5", 1)]
    assert (dmd["finite"], dmd["agreeing"]) == (2 * 2, 1)  # settings and seeds
    assert dmd["mean"] > 0.999
    assert data.loc[("local", "lr 0.1, momentum 0.5", 1), "finite"] == 2
    # The last interval has no second truth.
    assert np.isnan(data.loc[("another truth", "lr 0.1, momentum 0.5", 3), "mean"])


def test_every_point_is_drawn(context):
    figure = draw(FidelityFigure("Title.", IDS), context).figure
    first, second = (axes for axes in figure.axes)
    assert [axes.get_title() for axes in (first, second)] == [
        "lr 0.01, momentum 0.5", "lr 0.1, momentum 0.5"
    ]  # fmt: skip
    assert [label.get_text() for label in first.get_yticklabels()] == [
        "another truth", "local", "window mean", "glocal"
    ]  # fmt: skip
    marks = [line for line in first.lines if line.get_marker() in ("o", "s")]
    assert len(marks) == 4 * 4  # rows x points; one of a NaN shows nothing


def test_a_panel_with_nothing_below_has_its_axis_labelled(tmp_path):
    three = stored(tmp_path, rates=(0.1, 0.01, 0.03), seeds=(0,))
    panels = draw(FidelityFigure("Title.", IDS), three).figure.axes[:3]
    assert [bool(axes.get_xlabel()) for axes in panels] == [False, True, True]


def test_sensitivity_is_drawn_for_every_point(context):
    figure = draw(SensitivityFigure("Title.", validation=1000), context).figure
    inside, outside = figure.axes[0], figure.axes[2]
    found, _ = points(context)
    h = [differences(p.intervals, "1000", "float64") for p in found if "0.01" in p.setting]
    line = inside.lines[0]
    np.testing.assert_allclose(line.get_ydata(), np.median(h, axis=0))
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 101))
    # Of two playouts that have both.
    assert len(np.asarray(outside.lines[0].get_xdata())) == 4
    shade = np.asarray(inside.collections[0].get_paths()[0].vertices)
    np.testing.assert_allclose(shade[:, 1].max(), np.quantile(h, 0.75, axis=0).max())


def test_the_difference_is_relative():
    h = np.array([[3.0, 4.0], [0.0, 1.0]])
    found = {"a": h, "b": h + np.array([[0.3, 0.4], [0.0, -2.0]])}
    np.testing.assert_allclose(differences(found, "a", "b"), [0.1, 2.0])
    assert len(differences(found, "a", "c")) == 0


@pytest.mark.parametrize("left", ["", "interval.all", "truth.base"])
@pytest.mark.parametrize(
    "maker",
    [
        *map(table, ("fidelity", "fidelity_overall", "sensitivity", "theorem_real")),
        *(load(CONFIGS / f"figure/{name}.yaml") for name in ("fidelity", "sensitivity", "fig1")),
        load(CONFIGS / "figure/horizon.yaml"),
    ],
)
def test_a_study_without_points_shows_nothing(tmp_path, maker, left):
    """As before its first point is whole: an interval without truth, or a truth without one."""
    units = at_point(1, np.random.default_rng(0))
    config = {"steps": 400, "interval": 100, "task": {"init": dict.fromkeys(NAMES, 0.1)}}
    if left:
        write_study(tmp_path, "fidelity", {f"s1.{left}": units[f"s1.{left}"]}, config)
    make = getattr(maker, "draw", None) or maker.make
    with pytest.raises(MissingStudy):
        make(Context(tmp_path, studies=tmp_path, configs=CONFIGS))


def test_what_needs_one_point_or_its_slopes_waits_for_them(tmp_path):
    units = {
        n: unit for n, unit in at_point(1, np.random.default_rng(0)).items() if "slope" not in n
    }
    config = {"steps": 400, "interval": 100, "task": {"init": dict.fromkeys(NAMES, 0.1)}}
    write_study(tmp_path, "fidelity", units, config)
    for name in ("fig1", "horizon"):  # the former is of another interval and start
        maker = load(CONFIGS / f"figure/{name}.yaml")
        with pytest.raises(MissingStudy):
            maker.draw(Context(tmp_path, studies=tmp_path, configs=CONFIGS))


def test_the_horizon_is_the_cosine_of_each_hypergradient_ahead(context):
    point = points(context)[0][0]
    expected = cosine(point.playouts["base"], np.array([-0.1, 0.1, 0.1]))
    np.testing.assert_allclose(horizon(point), expected)
    figure = draw(load(CONFIGS / "figure" / "horizon.yaml"), context).figure
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["lr 0.01, momentum 0.5", "lr 0.1, momentum 0.5"]
    thin = [line for line in figure.axes[0].lines if line.get_linewidth() == 0.5]
    assert [len(line.get_xdata()) for line in thin] == [4, 4, 2, 2]


def test_one_interval_and_what_follows_it(context):
    """Noise-free: the modes of the window go through its h_t, and lead where Eq. 14 says."""
    settings = entries(CONFIGS / "figure" / "fig1.yaml") | {"starts": ["lr 0.1, momentum 0.5"]}
    drawing = instantiate(settings | {"s": 3}, CONFIGS / "figure" / "fig1.yaml").draw(context)
    inside, after = drawing.figure.axes
    h, modes, _, local = (line.get_xydata() for line in inside.get_lines())
    np.testing.assert_allclose(h[:, 0], np.arange(201, 301))
    np.testing.assert_allclose(h[:, 1], trajectory()[:, 0])
    np.testing.assert_allclose(modes[:80, 0], h[20:, 0])
    np.testing.assert_allclose(modes[:80, 1], h[20:, 1], rtol=1e-4)
    np.testing.assert_allclose(local, h[-1:])
    played, *_, glocal, truth = (line.get_xydata() for line in after.get_lines())
    assert played[:, 0].tolist() == [300, 400]
    np.testing.assert_allclose(glocal[0], [400, GOAL[0]], rtol=1e-4)
    np.testing.assert_allclose(truth, played[-1:])
