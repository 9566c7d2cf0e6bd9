"""What is drawn is what is stored, and fit to print: nothing is clipped, nothing overlaps."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from glocal_exp.koopman import Spectrum
from glocal_exp.report import style
from glocal_exp.report.artifact import Context, MissingRuns
from glocal_exp.report.claims.accuracy import windows_and_delays
from glocal_exp.report.claims.trajectories import prediction_errors
from glocal_exp.report.figures.fig4 import NEAR, Fig4, draw_grid
from glocal_exp.report.figures.forecast import Forecast
from glocal_exp.report.figures.forest import Forest, families, told_apart
from glocal_exp.report.figures.learning_curves import LearningCurves, StartMatrix
from glocal_exp.store import find_runs

from .synthetic import CONFIGS, draw, overwrite, reading, write_run

MAKERS = {
    "curves": LearningCurves("Title.", {"sgd": "SGD", "adam": "Adam"}),
    "one row": LearningCurves("Title.", {"sgd": "SGD"}),
    "long": LearningCurves("Title.", {"long": "SGD"}),
    "starts": StartMatrix("Title.", {"sgd": "lr 0.01", "nowhere": "lr 1", "long": "lr 0.1"}),
    "spectrum": Fig4("Title.", ["nowhere", "sgd"], "grid", reading=reading("figure/fig4")),
    "forecast": Forecast("Title.", ["sgd", "adam"], reading=reading("figure/forecast")),
    "forest": Forest(
        "Title.", {"sgd": "SGD", "long": "long"}, [["glocal", "none"], ["glocal", "local"]]
    ),
}
GRID = {(40, 5, 0): 80.0, (80, 5, 0): 85.0, (80, 5, 1): 87.0, (80, 10, 0): 88.0}
"""By window, delays and seed."""
FIRST = {
    "spectrum": r"$\mathrm{Im}\,\lambda_j$",
    "forecast": r"$|\hat h_t - h_t|\,/\,|h_t|$",
    "forest": "",
}
"""The label of the first panel, where it is no accuracy."""


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed, method in itertools.product((0, 1), ("none", "local", "glocal")):
        write_run(root, "sgd", method, seed, keep_arrays=seed == 1)
        write_run(
            root, "adam", method, seed, task="adam", diverge_at=9 if method == "local" else None
        )
    for method in ("none", "local", "window_mean", "glocal", "global", "newcomer"):
        if method != "newcomer":
            write_run(root, "long", method, 0, steps=10000, start={"learning_rate": 0.1})
    return Context(root)


@pytest.fixture(scope="module")
def drawn(context):
    """Every figure, drawn once and laid out as for print."""
    drawings = {}
    with style.applied():
        for name, maker in MAKERS.items():
            drawings[name] = maker.draw(context)
            FigureCanvasAgg(drawings[name].figure).draw()
    return drawings


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def visible_ticks(axis):
    """Tick labels inside the view, as the backend draws them."""
    low, high = sorted(axis.get_view_interval())
    return [
        tick.label1 for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high and tick.label1.get_visible() and tick.label1.get_text()
    ]  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_print_size_and_readable_fonts(drawn, name):
    figure = drawn[name].figure
    assert figure.get_figwidth() in (style.COLUMN_WIDTH, style.PAGE_WIDTH)
    assert min(text.get_fontsize() for text in texts(figure)) >= 7


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_clipped(drawn, name):
    figure = drawn[name].figure
    page = figure.bbox
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    for box in boxes:
        assert page.x0 <= box.x0 < box.x1 <= page.x1, box
        assert page.y0 <= box.y0 < box.y1 <= page.y1, box


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_overlaps(drawn, name):
    figure = drawn[name].figure
    panels = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    panels += [legend.get_window_extent() for legend in figure.legends]
    for one, other in itertools.combinations(panels, 2):
        assert not one.overlaps(other)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [label.get_window_extent() for label in visible_ticks(axis)]
            for one, other in itertools.combinations(boxes, 2):
                assert not one.overlaps(other)


@pytest.mark.parametrize("name", MAKERS)
def test_axes_are_labelled(drawn, name):
    for axes in drawn[name].figure.axes:
        if axes.lines:
            assert axes.get_xlabel() or name == "starts"
    first = drawn[name].figure.axes[0]
    assert first.get_ylabel() == FIRST.get(name, "test accuracy (%)")


def test_every_seed_of_every_method_is_in_every_panel(drawn, context):
    panels = drawn["curves"].figure.axes
    assert [axes.get_ylabel() for axes in panels] == [
        "test accuracy (%)", "", "learning rate", "momentum", "weight decay",
        "test accuracy (%)", "", "learning rate", r"$\beta_1$", r"$\beta_2$",
    ]  # fmt: skip
    for axes, column, factor in (
        (panels[0], "test_accuracy", 100.0),
        (panels[2], "hyperparameter/learning_rate", 1.0),
        (panels[4], "hyperparameter/weight_decay", 1.0),
    ):
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
        for run in find_runs(context.runs, {"experiment": "sgd"}):
            expected = run.metrics()[column].to_numpy() * factor
            assert any(len(y) == 21 and np.allclose(y, expected, rtol=1e-12) for y in lines), run
        assert len(lines) == 3 * (2 + 1)


def test_means_are_bold_and_in_the_legends_style(drawn, context):
    runs = find_runs(context.runs, {"experiment": "sgd", "method": "glocal"})
    mean = np.mean([run.metrics()["test_accuracy"] for run in runs], axis=0) * 100
    bold = [line for line in drawn["curves"].figure.axes[0].get_lines() if line.get_linewidth() > 1]
    colours = [style.STYLES[name].colour for name in ("none", "local", "glocal")]
    assert [line.get_color() for line in bold] == colours
    np.testing.assert_allclose(bold[2].get_ydata(), mean, rtol=1e-12)
    legend = drawn["curves"].figure.legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["none (constant)", "local", "glocal", "diverged"]


def test_diverged_seeds_are_marked_and_counted(drawn):
    drawing = drawn["curves"]
    crosses = [line for line in drawing.figure.axes[5].get_lines() if line.get_marker() == "X"]
    assert [line.get_xdata() for line in crosses] == [[800], [800]]
    assert "diverged, shown up to the last finite point: local 2 of 2." in drawing.caption
    assert "diverged" not in drawn["one row"].figure.legends[0].get_texts()[-1].get_text()


def test_accuracy_after_the_start_is_inside_the_axis(drawn, context):
    low, high = drawn["curves"].figure.axes[0].get_ylim()
    for run in find_runs(context.runs, {"experiment": "sgd"}):
        late = run.metrics().query("step >= 200")["test_accuracy"] * 100
        assert low < late.min()
        assert late.max() < high


def test_starts_share_the_axis_of_their_hyperparameter_and_name_what_was_not_run(drawn):
    drawing = drawn["starts"]
    upper, lower = drawing.figure.axes[:3], drawing.figure.axes[6:]
    assert lower[0].get_ylim() == lower[2].get_ylim()
    assert [text.get_text() for text in upper[1].texts] == ["not run"]
    assert "nowhere" in drawing.missing


def test_spectrum_is_that_of_the_stored_arrays(drawn, context):
    drawing = drawn["spectrum"]
    run = find_runs(context.runs, {"experiment": "sgd", "method": "glocal", "seed": 1})[0]
    arrays = run.arrays()
    eigenvalues = arrays["s1/eigenvalues"]
    near = np.abs(eigenvalues - 1) <= 0.02
    assert 0 < near.sum() < near.size
    left, zoom, middle = drawing.figure.axes
    others, steady = left.collections
    for points, chosen in ((others, eigenvalues[~near]), (steady, eigenvalues[near])):
        offsets = np.asarray(points.get_offsets())
        np.testing.assert_allclose(offsets, np.stack([np.real(chosen), np.imag(chosen)], axis=1))
    np.testing.assert_allclose(steady.get_facecolor()[0, :3], to_rgb(NEAR["color"]))
    assert left.get_aspect() == 1
    assert zoom.get_aspect() == 1
    # |b_j| |lambda_j|^t |u_j|, written out
    first = np.abs(arrays["s1/amplitudes"] * arrays["s1/modes"][0])
    expected = first[:, None] * np.abs(eigenvalues)[:, None] ** np.arange(101)
    lines = middle.get_lines()
    assert len(lines) == near.size
    orange = [line.get_ydata() for line in lines if line.get_color() == NEAR["color"]]
    np.testing.assert_allclose(orange, expected[near], rtol=1e-9)
    blue = [line.get_ydata() for line in lines if line.get_color() != NEAR["color"]]
    np.testing.assert_allclose(blue, expected[~near], rtol=1e-9)
    assert f"Seed 1, outer step s = 1. (a) The {near.size} eigenvalues" in drawing.caption
    assert f"orange: the {near.sum()} within 0.02 of 1" in drawing.caption
    growing = (np.abs(eigenvalues) > 1.02).sum() or "none"
    assert f"{growing} of modulus over 1.02" in drawing.caption


def test_the_spectrums_hyperparameter_is_found_by_name(context):
    run = find_runs(context.runs, {"experiment": "sgd", "method": "glocal", "seed": 1})[0]
    arrays = run.arrays()
    spectrum = Spectrum(
        arrays["s1/eigenvalues"], arrays["s1/modes"], arrays["s1/amplitudes"], 3, 71
    )
    maker = Fig4("Title.", ["sgd"], "grid", hyperparameter="weight_decay", steps=5)
    lines = draw(maker, context).figure.axes[2].get_lines()
    found = [np.asarray(line.get_ydata(), dtype=float)[0] for line in lines]
    np.testing.assert_allclose(np.sort(found), np.sort(spectrum.magnitudes(2, 1)[:, 0]), rtol=1e-9)


def test_fig_4_has_its_third_panel_where_its_runs_are(drawn, context):
    assert len(drawn["spectrum"].figure.axes) == 3
    assert drawn["spectrum"].missing == ("grid",)
    whole = draw(Fig4("Title.", ["sgd"], "sgd", "test_accuracy"), context)
    *panels, bar = whole.figure.axes
    letters = [axes.get_title(loc="left") for axes in panels]
    assert letters == ["(a)", "", "(b)", "(c)"]
    assert (whole.missing, bar.get_ylabel()) == ((), "test accuracy (%)")


def test_a_cell_of_windows_and_delays_is_a_mean_over_its_seeds(tmp_path):
    where = Context(tmp_path), "fig4_right", "test_accuracy"
    with pytest.raises(MissingRuns):
        windows_and_delays(*where)
    for (window, delays, seed), value in GRID.items():
        config = {"method": {"window": window, "delays": delays}}
        path = write_run(tmp_path, "fig4_right", "glocal", seed, config=config)
        overwrite(path, "test_accuracy", [value / 100] * 5)
    with style.applied():
        _, ((axes,),) = style.panels(1, 1, 2.0)
        draw_grid(axes, windows_and_delays(*where)[1], "accuracy")
    np.testing.assert_allclose(axes.images[0].get_array().filled(np.nan), [[80, np.nan], [86, 88]])
    assert [text.get_text() for text in axes.texts] == ["80.0", "86.0\n(n = 2)", "88.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["40", "80"]


def test_predictions_are_measured_at_the_end_of_stored_intervals(drawn, context):
    run = find_runs(context.runs, {"experiment": "sgd", "method": "glocal", "seed": 1})[0]
    h = run.arrays()["s1/trajectory"].astype(float)
    drawing = drawn["forecast"]
    lines = {line.get_label(): line.get_ydata() for line in drawing.figure.axes[0].get_lines()}
    length = np.linalg.norm(h[70:], axis=1)
    for label, predicted in (("the last of them", h[69]), ("their mean", h[:70].mean(axis=0))):
        expected = np.linalg.norm(h[70:] - predicted, axis=1) / length
        np.testing.assert_allclose(lines[label], expected, rtol=1e-12)
    assert "1 intervals whose h_t are stored" in drawing.caption


def test_noise_free_linear_dynamics_are_predicted():
    t = np.arange(80)
    h = np.stack([1 + 0.9**t, np.cos(0.3 * t), 0.97**t - 2], axis=1)
    errors = prediction_errors(h, 10, 10)
    assert errors["dmd"].max() < 1e-6
    assert errors["last"].min() > 1e-3


def test_a_forest_has_every_seeds_difference(drawn, context):
    def accuracy(method, seed, last):
        where = {"experiment": "sgd", "method": method, "seed": seed}
        metrics = find_runs(context.runs, where)[0].metrics()
        return 100 * metrics["test_accuracy"].tail(last).mean()

    axes = drawn["forest"].figure.axes[0]
    for last, y in ((1, -0.17), (5, 0.17)):
        apart = [accuracy("glocal", k, last) - accuracy("none", k, last) for k in (0, 1)]
        rows = [line for line in axes.get_lines() if np.allclose(line.get_ydata(), y)]
        np.testing.assert_allclose(rows[0].get_xdata(), apart)
        np.testing.assert_allclose(rows[2].get_xdata(), np.mean(apart))
    assert [text.get_text() for text in axes.texts if text.get_text().isdigit()].count("2") == 2


def test_a_star_is_for_differences_that_claims_are_made_of():
    apart = {"a": [1.0, 1.2, 1.4], "b": [1.0, 1.4, 1.8], "c": [1.0, 1.1, 1.2]}  # p .009, .03, .003
    assert told_apart(apart, [["b"]]) == {"b"}
    assert told_apart(apart, [["a", "b"], ["nowhere"]]) == {"a", "b"}
    assert told_apart(apart | {"d": [-1.0, 2.0, 3.0]}, [["a", "b", "d"]]) == {"a"}
    context = Context(Path(), configs=CONFIGS)
    assert families(context, "split", "glocal") == [["fig2_sgd_mean_sign"]]
    # Of glocal and local claims are made about run times and hyperparameters, too.
    assert ["fig2_sgd", "fig2_adam"] not in families(context, "glocal", "local")


@pytest.mark.parametrize(
    "maker",
    [
        Forest("Title.", {"nowhere": "x"}, [["glocal", "local"]]),
        Forecast("Title.", ["nowhere"]),
        Forecast("Title.", ["adam"]),
        LearningCurves("Title.", {"nowhere": "x"}),
        StartMatrix("Title.", {"nowhere": "x"}),
        Fig4("Title.", ["nowhere"], "grid"),
        Fig4("Title.", ["adam"], "grid"),
    ],
)
def test_without_runs_nothing_is_drawn(context, maker):
    with pytest.raises(MissingRuns):
        maker.draw(context)


def test_one_missing_row_does_not_stop_the_other(context):
    drawing = draw(LearningCurves("Title.", {"sgd": "SGD", "nowhere": "x"}), context)
    assert len(drawing.figure.axes) == 5
    assert drawing.missing == ("sgd", "nowhere")  # sgd lacks global
    assert "No run of global is stored." in drawing.caption
