"""The report: its numbers are those that are stored, in both forms."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from glocal_exp.errors import UserError
from glocal_exp.report.artifact import Context
from glocal_exp.report.document import run_charts
from glocal_exp.report.document.source import Lookup, Source
from glocal_exp.report.document.write import InMarkdown, InPage
from glocal_exp.report.tables.grouped import ABSENT
from glocal_exp.store import load_runs

from .synthetic import CONFIGS, overwrite, write_run

RESULTS = Path(__file__).parents[2] / "results"
LOADS = re.compile(
    r"""(?:src|srcset|data-src)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?http"""
)


@pytest.fixture(scope="module")
def page():
    return (RESULTS / "report.html").read_text()


def panels(page, chart):
    """The traces of each panel of a chart in a page, as they are drawn."""
    found = re.search(
        rf'id="{chart}">.*?<script type="application/json">(.*?)</script>', page, re.S
    )
    return [panel["data"] for panel in json.loads(found[1])]


def of(root, tables=RESULTS / "tables"):
    """A source of the runs in `root` and of those tables."""
    context = Context(root, configs=CONFIGS, studies=root / "studies")
    return Source(context, Lookup(tables), RESULTS / "figures")


def test_the_page_is_one_file_that_loads_nothing(page):
    assert len(page.encode()) < 8e6
    words = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert LOADS.findall(words) == []
    assert re.findall(r"<link [^>]*http", words) == []
    names = re.findall(r'id="([^"]+)"', words)
    assert len(names) == len(set(names)) > 50
    assert page.count("<script>") == 2  # Plotly once, and the few lines that draw


def test_pictures_are_in_the_page_with_their_captions(page):
    for name in ("fig1", "forest", "forecast", "modes", "noise"):
        title, *_ = (RESULTS / "figures" / f"{name}.txt").read_text().splitlines()
        found = re.search(
            rf"<figcaption>{re.escape(title)}</figcaption><img [^>]*base64,([^\"]+)", page
        )
        assert found, name
        width, height = np.shape(imread(io.BytesIO(base64.b64decode(found[1]))))[:2][::-1]
        assert width > 900 > height > 200


def test_every_curve_is_that_of_a_stored_run(page):
    """Of the page that is committed, against the CSV files of the runs."""
    frame = load_runs(RESULTS / "runs", {"experiment": "fig2_sgd"}, check_source=False)
    accuracy, rate, *_ = panels(page, "curves-fig2_sgd")
    for column, factor, traces in (
        ("test_accuracy", 100, accuracy),
        ("hyperparameter/learning_rate", 1, rate),
    ):
        single = [one for one in traces if one["meta"]["seed"] != "mean"]
        assert {one["meta"]["method"] for one in single} >= {"none", "local", "glocal"}
        for one in single:
            stored = one["meta"]["method"]
            stored = stored if stored in set(frame["method"]) else "none"  # called by its task
            where = (frame["method"] == stored) & frame["seed"].eq(int(one["meta"]["seed"]))
            run = frame[where & frame["step"].isin(one["x"])].dropna(subset=[column])
            lengths = [
                r for _, r in run.groupby("path")
                if len(r) == len(one["y"]) and np.allclose(factor * r[column], one["y"], rtol=1e-4)
            ]  # fmt: skip
            assert lengths, one["meta"]


def test_both_forms_have_the_verdicts_of_the_table(page):
    claims = pd.read_csv(RESULTS / "tables" / "claims.csv").fillna("")
    text = (RESULTS / "REPORT.md").read_text()
    for row in claims.to_dict("records"):
        assert row["claim"] in text
        own = re.search(rf'<tr id="claim-{row["id"]}">(.*?)</tr>', page, re.S)[1]
        assert re.search(r'class="verdict [^>]*>([^<]*)<', own)[1] == row["verdict"]
        assert row["ours"].replace("'", "&#39;") in own
    for verdict, count in claims["verdict"].value_counts().items():
        assert f"<b>{count}</b> {verdict}" in page


def test_a_changed_table_changes_the_words(tmp_path):
    tables = shutil.copytree(RESULTS / "tables", tmp_path / "tables")
    before = InMarkdown(of(tmp_path, tables)).text()
    frame = pd.read_csv(tables / "fidelity_overall.csv")
    frame.loc[frame["estimator"] == "glocal", "right"] = 35
    frame.to_csv(tables / "fidelity_overall.csv", index=False)
    claims = pd.read_csv(tables / "claims.csv")
    claims.loc[claims["id"] == "local_suboptimal", "verdict"] = "agrees"
    claims.to_csv(tables / "claims.csv", index=False)
    after = InMarkdown(of(tmp_path, tables)).text()
    assert "glocal points the right way in 35 of 36 intervals" not in before
    assert "glocal points the right way in 35 of 36 intervals" in after
    sentence = "ends lower than by glocal ones **{}**"
    assert sentence.format("holds") in after
    assert sentence.format("holds") not in before


def test_a_changed_run_changes_its_curve_and_one_seed_has_no_mean(tmp_path):
    path = write_run(tmp_path, "fig2_sgd", "local", 0, steps=500)
    for seed in (0, 1):
        write_run(tmp_path, "fig2_sgd", "glocal", seed, steps=500)
    (chart,) = run_charts.curves(of(tmp_path))
    assert chart.title == "Fashion-MNIST, SGD lr 0.01, momentum 0.5, T = 500"
    assert [panel.title for panel in chart.panels] == [
        "test accuracy (%)", "learning rate", "momentum", "weight decay",
    ]  # fmt: skip
    metas = [trace.meta for trace in chart.panels[0].traces]
    assert metas == [
        {"method": "local", "seed": "0"},
        {"method": "glocal", "seed": "0"},
        {"method": "glocal", "seed": "1"},
        {"method": "glocal", "seed": "mean"},
    ]
    glocal = [np.array(trace.y) for trace in chart.panels[0].traces[1:]]
    np.testing.assert_allclose(glocal[2], (glocal[0] + glocal[1]) / 2, rtol=1e-4)
    overwrite(path, "test_accuracy", [0.5])
    (changed,) = run_charts.curves(of(tmp_path))
    assert changed.panels[0].traces[0].y[-1] == 50
    (ends,) = run_charts.finals(of(tmp_path))
    assert ends.panels[0].traces[0].x == (50,)
    assert "local (n = 1)" in ends.panels[0].y["ticktext"]
    html = InPage(of(tmp_path)).figure("curves")
    assert panels(html, "curves-fig2_sgd")[0][0]["y"][-1] == 50


def test_a_lost_run_ends_in_a_cross(tmp_path):
    write_run(tmp_path, "fig2_sgd", "local", 0, steps=500, diverge_at=3)
    (chart,) = run_charts.curves(of(tmp_path))
    (trace,) = chart.panels[0].traces
    assert trace.x == (0, 100, 200)  # up to the last record that is finite
    assert trace.marker.size == (0, 0, 10)
    assert trace.name == "local, seed 0, diverged"


def test_a_switch_has_traces_that_it_hides(page):
    """Each button's key and value are those of some trace of its figure."""
    charts = re.findall(r'<figure class="chart[^"]*" id="([^"]+)">(.*?)</figure>', page, re.S)
    assert len(charts) > 5
    for name, content in charts:
        metas = [one["meta"] for panel in panels(page, name) for one in panel]
        for key, value in re.findall(r'data-key="([^"]+)" data-value="([^"]+)"', content):
            assert any(meta[key] == value for meta in metas), (name, key, value)


def test_what_is_not_stored_has_its_command(tmp_path):
    text = InPage(of(tmp_path)).figure("fidelity", "local", "glocal")
    assert text == "*Not run: `python scripts/study.py study=fidelity output_dir=results`.*"


def test_a_sentence_that_looks_up_what_is_not_there_is_an_error(tmp_path):
    lookup = Lookup(RESULTS / "tables")
    assert lookup.cell("table3", "times_none", "{:.1f}", method="none") == "1.0"
    with pytest.raises(UserError, match="has no speed"):
        lookup.cell("table3", "speed", method="none")
    with pytest.raises(UserError, match="has no kind"):
        lookup.cell("table3", "seeds", kind="none")
    assert lookup.cell("table3", "seeds", method="not run yet") == ABSENT
    assert lookup.cell("table3", "paper_seconds", method="split") == ABSENT
    assert lookup.span("theorem_real", "left", setting="not run yet") == ABSENT
    with pytest.raises(UserError, match="not one"):
        lookup.cell("final_accuracy", "mean", method="none")
    with pytest.raises(UserError, match="no claim nothing"):
        lookup.claim("nothing")
    with pytest.raises(UserError, match=r"`glocal tables table3` makes it"):
        Lookup(tmp_path).frame("table3")


def test_runs_that_differ_in_more_than_method_and_seed_are_in_no_chart_of_methods(tmp_path):
    for experiment in ("fig2_sgd", "recovery", "fig4_right"):
        write_run(tmp_path, experiment, "glocal", 0, steps=500)
    source = of(tmp_path)
    assert set(source.experiments) == {"fig2_sgd", "recovery", "fig4_right"}
    assert [chart.name for chart in run_charts.curves(source)] == ["curves-fig2_sgd"]
    assert source.labels["fig4_right"].startswith("Fig. 4, right: windows and delays")
