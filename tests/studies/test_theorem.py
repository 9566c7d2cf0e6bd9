import numpy as np
import pytest

from glocal_exp.studies.bound import Terms
from glocal_exp.studies.gaps import gaps
from glocal_exp.studies.lab import Lab
from glocal_exp.studies.theorem import Theorem, summarize

SMALL = Theorem(
    systems={"normal": {"eigenvalues": [1, 0.9]}, "affine": {
        "eigenvalues": [0.9, 0.5], "affine": True, "delays": 3}},
    levels=[0, 1e-2],
    intervals=[20],
    horizons=[0, 20, 100],
    draws=5,
    unit_tolerances=[0.02],
)  # fmt: skip


def no_setting(_):
    raise AssertionError("this study trains nothing")


def measured(name):
    units = {unit.name: unit for unit in SMALL.units(Lab(0, no_setting))}
    return units[name].measure().rows


def test_units_are_named_after_what_they_measure():
    names = [unit.name for unit in SMALL.units(Lab(0, no_setting))]
    assert names == [
        "gaps",
        *(f"{system}-{noise}" for system in ("normal", "affine")
          for noise in ("measurement-0", "measurement-0.01", "process-0.01")),
    ]  # fmt: skip


def test_without_noise_the_bound_fails_in_the_last_interval_alone():
    rows = [row for row in measured("normal-measurement-0") if row["amplitudes"] == "newest"]
    assert [row["holds"] for row in rows] == [0, 1, 1]
    assert [row["proven_holds"] for row in rows] == [1, 1, 1]
    # One decaying mode of amplitude 1, normal: 0.9^(19 + horizon) in every draw.
    found = [row["left"] for row in rows]
    np.testing.assert_allclose(found, 0.9 ** (19 + np.array([0, 20, 100])), rtol=1e-6)
    assert rows[1]["right"] == pytest.approx(0.9**39)


def test_noise_loosens_the_bound():
    quiet, noisy = measured("affine-measurement-0"), measured("affine-measurement-0.01")
    for before, after in zip(quiet, noisy, strict=True):
        assert after["right"] > 1e3 * before["right"]
        assert after["left"] < 1
        assert after["proven_holds"] == 1


def test_a_summary_counts_what_holds():
    base = dict.fromkeys(Terms.__dataclass_fields__, 1.0)
    found = [Terms(**base | {"left": left}) for left in (0.5, 1.0, 3.0, 4.0)]
    row = summarize(found)
    assert row["left"] == 2
    assert row["left_low"] == pytest.approx(0.875)
    assert row["holds"] == 0.5
    assert row["prediction_holds"] == row["radius_holds"] == 1


def test_every_gap_contradicts_its_claim():
    for gap in gaps():
        assert gap["left"] > 1.5 * gap["right"], gap["name"]


def test_gaps_in_closed_form():
    by_name = {gap["name"]: gap for gap in gaps()}
    # 0.9^9 at the last of 10 rows; the paper's term has 0.9^10 more.
    assert by_name["last interval"]["left"] == pytest.approx(0.9**9)
    assert by_name["last interval"]["right"] == pytest.approx(0.9**19)
    assert by_name["oscillation"]["left"] == pytest.approx(1)
    assert by_name["oscillation"]["right"] == pytest.approx(0, abs=1e-10)
    # 30 steps of 0.01, and the decayed mode
    assert by_name["forcing after the window"]["left"] == pytest.approx(0.3)
    # One mode, K = 1 + 0.25 / 9; the sum over |lambda| < 1 is empty.
    k = 1 + 0.25 / 9
    growth = by_name["spectral radius above 1"]
    assert growth["left"] == pytest.approx(1)
    f = np.array([0.25, 0.25])
    epsilon = (k - 1) * np.sqrt(1 + np.sum(f**2))
    assert growth["right"] == pytest.approx(1.25 - k + 10 * epsilon)
