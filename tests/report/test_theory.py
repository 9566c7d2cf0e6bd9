"""Figures and tables of the theorem, noise and complexity studies, from small ones."""

import numpy as np
import pandas as pd
import pytest

from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context, MissingStudy
from glocal_exp.report.figures.linear_systems import LastFigure, NoiseFigure, TheoremFigure
from glocal_exp.report.tables.table1 import memory_terms
from glocal_exp.report.tables.theorem import computable_terms
from glocal_exp.store import find_runs, source_fingerprint
from glocal_exp.studies.lab import Lab
from glocal_exp.studies.linear import linear_system
from glocal_exp.studies.noise import NoiseStudy
from glocal_exp.studies.theorem import Theorem

from .synthetic import draw, reading, table, write_run, write_study

THEOREM = Theorem(
    systems={"normal": {"eigenvalues": [1, 0.9]}},
    levels=[0, 1e-3, 1e-2],
    intervals=[20, 40],
    horizons=[0, 40, 100],
    draws=3,
    unit_tolerances=[0.02],
    noises=["measurement"],
    amplitudes=["newest"],
)
NOISE = NoiseStudy(
    systems={"even": {"eigenvalues": [0.9, 0.5], "scales": [1, 1]}},
    variants={"default": {}, "energy": {"rank": 0.99}},
    levels=[1e-4, 1e-2],
    decays=[0.5, 0.9],
    compared={"first_2": {"delays": 2}},
    window=30,
    delays=4,
    draws=3,
)


def complexity_rows():
    """Exact power laws: time 1e-3 T p q (global: times S), space 4 (5 p q + 2 tau q)."""
    base = {"S": 4, "tau": 20, "p": 64, "q": 8}
    sweeps = {
        "S": [{"S": 2, "tau": 40}, {"S": 4, "tau": 20}, {"S": 8, "tau": 10}],
        "T": [{"S": 2}, {"S": 4}, {"S": 8}],
        "tau": [{"tau": 10}, {"tau": 20}, {"tau": 40}],
        "p": [{"p": 32}, {"p": 64}, {"p": 128}],
        "q": [{"q": 4}, {"q": 8}, {"q": 16}],
        "grid": [{"p": p, "q": q, "tau": t} for p in (16, 32) for q in (2, 4) for t in (5, 10)],
    }
    units = {}
    for sweep, sizes in sweeps.items():
        rows = units[f"sweep-{sweep}"] = []
        for size in sizes:
            d = base | size
            d["T"] = d["S"] * d["tau"]
            d |= {"sweep": sweep, "repeat": 0, "held_bytes": 4 * d["q"]}
            d |= {"program_bytes": 4 * (5 * d["p"] * d["q"] + 2 * d["tau"] * d["q"])}
            for method in ("local", "global", "glocal"):
                work = d["T"] * d["p"] * d["q"] * (d["S"] if method == "global" else 1)
                rows.append(d | {"method": method, "cpu_seconds": 1e-3 * work})
    return units


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    root = tmp_path_factory.mktemp("studies")
    lab = Lab(0, lambda _: pytest.fail("nothing is trained"))
    commit = {"git": {"commit": "0123456789abcdef"}}
    for name, study in (("theorem", THEOREM), ("noise", NOISE)):
        rows = {unit.name: unit.measure().rows for unit in study.units(lab)}
        write_study(root, name, rows, **commit)
    write_study(root, "complexity", complexity_rows())
    return Context(root, studies=root)


THEOREM_FIGURE = TheoremFigure(
    "Title.", "normal", {"normal": "q = 2"}, 1e-2, 40, 100, reading=reading("figure/theorem")
)
NOISE_FIGURE = NoiseFigure(
    "Title.",
    {"rank": {"system": "even", "variants": {"default": "full", "energy": "energy"}}},
)


def test_both_sides_of_the_theorem_are_drawn(context):
    drawing = draw(THEOREM_FIGURE, context)
    quiet, noisy, growing, loose = drawing.figure.axes
    left, right = quiet.get_lines()[:2]
    np.testing.assert_allclose(left.get_xdata(), [0, 40, 100])
    # One mode of amplitude 1, normal, no noise: 0.9^(39 + horizon) and 0.9^(39 + 40)
    np.testing.assert_allclose(left.get_ydata(), 0.9 ** (39 + np.array([0, 40, 100])), rtol=1e-4)
    np.testing.assert_allclose(right.get_ydata(), 0.9**79, rtol=1e-4)
    assert list(growing.get_lines()[0].get_xdata()) == [20, 40]
    assert (noisy.get_lines()[1].get_ydata() > noisy.get_lines()[0].get_ydata()).all()
    assert list(loose.get_lines()[0].get_xdata()) == [1e-3, 1e-2]
    assert "held in 100.0%" in drawing.caption
    assert "commit 0123456789" in drawing.caption


def test_gaps_are_listed(context):
    sheet = table("theorem_gaps").make(context)
    assert (sheet.data["left"] > sheet.data["right"]).all()
    assert sheet.rows[0][0] == "last interval"
    assert sheet.rows[0][3:] == ["0.39", "0.14"]


def test_errors_are_drawn_against_noise(context):
    drawing = draw(NOISE_FIGURE, context)
    upper, lower, below = drawing.figure.axes
    frame = pd.read_csv(context.studies / "noise/x/seed=0/units/even-energy.csv")
    np.testing.assert_allclose(upper.get_lines()[1].get_ydata(), frame["steady"])
    np.testing.assert_allclose(lower.get_lines()[1].get_ydata(), frame["spectral"])
    labels = [text.get_text() for text in below.get_legend().get_texts()]
    assert labels == ["full", "energy", "last $h$", "window mean"]


def test_the_comparison_with_the_last_h_is_a_map(context):
    drawing = draw(LastFigure("Title.", {"first_2": "m = 2"}), context)
    axes = drawing.figure.axes[0]
    shown = axes.get_images()[0].get_array()
    frame = pd.read_csv(context.studies / "noise/x/seed=0/units/decay=0.9-first_2.csv")
    np.testing.assert_allclose(shown[1], np.log10(frame["steady"] / frame["last"]))
    texts = [text.get_text() for text in axes.texts]
    assert texts[2:] == [f"{100 * share:.0f}" for share in frame["beats_last"]]


def test_exponents_of_exact_power_laws(context):
    sheet = table("table1").make(context)
    data = sheet.data.set_index(["quantity", "letter", "method"])["measured"]
    expected = {"S": (0, 1, 0), "T": (1, 2, 1), "tau": (1, 1, 1), "p": (1, 1, 1), "q": (1, 1, 1)}
    for letter, exponents in expected.items():
        for method, exponent in zip(("local", "global", "glocal"), exponents, strict=True):
            assert data["time", letter, method] == pytest.approx(exponent, abs=1e-9)
    paper = sheet.data.set_index(["quantity", "letter", "method"])["paper"]
    assert paper["time", "T", "global"] == pytest.approx(2)
    assert np.isnan(paper["time", "T", "local"])
    # O(p + q) at p = 64 hardly grows with q; what forward mode holds does.
    assert paper["space", "q", "local"] < 0.2
    assert data["space", "q", "local"] == pytest.approx(1, abs=1e-9)
    assert sheet.rows[0][:2] == ["time", "S"]
    assert sheet.rows[0][3] == "\N{EN DASH} / 0.00"
    assert "holds 5 pq + 2 tau q (" in sheet.caption


def test_memory_is_taken_apart():
    rows = [row for unit in complexity_rows().values() for row in unit if row["method"] == "local"]
    terms, misfit = memory_terms(pd.DataFrame(rows), "program_bytes")
    assert terms["pq"] == pytest.approx(5)
    assert terms["tau q"] == pytest.approx(2)
    assert terms["p"] == pytest.approx(0, abs=1e-9)
    assert misfit < 1e-12


def test_terms_of_a_known_trajectory():
    """No noise, m = 1: nothing is left over, and b_j lambda_j^tau is known."""
    known = linear_system(np.random.default_rng(0), [1, 0.9, 0.5])
    h = known.trajectory(30)
    spectrum = HankelDMD().fit(h, 1)
    estimate, _ = SteadyStateEstimator().estimate(spectrum, h, 0)
    names = ("eigenvalues", "modes", "amplitudes")
    arrays = {name: getattr(spectrum, name) for name in names}
    arrays |= {"trajectory": h, "hypergradient": estimate}
    terms = computable_terms(arrays, 30, 0.02)
    scale = np.linalg.norm(h[-1])
    assert terms["radius"] == pytest.approx(1)
    assert terms["condition"] == pytest.approx(1)
    assert max(terms["residual"], terms["residual_embedded"], terms["first_term"]) < 1e-10
    # b = 0.9^29 and 0.5^29 at the last of 30 rows, orthonormal modes
    assert terms["second_term"] * scale == pytest.approx(0.9**59 + 0.5**59)
    assert terms["estimate"] * scale == pytest.approx(1)


def test_terms_of_stored_runs_are_medians_over_seeds(tmp_path):
    for seed in range(3):
        write_run(tmp_path, "fig2_sgd", "glocal", seed, steps=500, keep_arrays=True)
    sheet = table("theorem_terms", experiments={"fig2_sgd": "SGD", "c1_mnist": "MNIST"}).make(
        Context(tmp_path)
    )
    stored = [run.arrays().items() for run in find_runs(tmp_path)]
    first = [{k[3:]: value for k, value in arrays if k[:3] == "s1/"} for arrays in stored]
    found = [computable_terms(arrays, 100, 0.02) for arrays in first]
    first = sheet.data.iloc[0]
    assert (first["experiment"], first["s"], first["seeds"]) == ("SGD", 1, 3)
    for name in ("condition", "second_term", "residual_embedded"):
        assert first[name] == pytest.approx(np.median([one[name] for one in found]))
    assert sheet.missing == ("c1_mnist",)


@pytest.mark.parametrize(
    "build",
    [
        THEOREM_FIGURE.draw,
        NOISE_FIGURE.draw,
        LastFigure("Title.", {"first_2": "m = 2"}).draw,
        table("theorem_gaps").make,
        table("table1").make,
    ],
)
def test_without_the_study_nothing_is_made(tmp_path, build):
    with pytest.raises(MissingStudy):
        build(Context(tmp_path, studies=tmp_path))
    other = {"level": 0.0, "draws": 3, "p": 2, "sweep": "T", "variant": "x", "comparison": "x"}
    other |= {"method": "none", "repeat": 0, "program_bytes": 4, "held_bytes": 4}
    for study in ("theorem", "noise", "complexity"):
        write_study(tmp_path, study, {"first": [other]})
    with pytest.raises(MissingStudy):  # of what it shows nothing is there yet
        build(Context(tmp_path, studies=tmp_path))


@pytest.mark.parametrize("outdated", [False, True])
def test_a_caption_says_that_a_study_is_of_older_source(tmp_path, outdated):
    modules = ["glocal_exp.koopman.dmd"]
    source = "0" * 16 if outdated else source_fingerprint(modules)
    facts = {"source_modules": modules, "source_hash": source}
    write_study(tmp_path, "noise", {"a": [{"level": 1.0}]}, **facts)
    found = study_rows.provenance(study_rows.load(Context(tmp_path, studies=tmp_path), "noise"))
    assert ("Measured with an older version of the numerical code." in found) == outdated
