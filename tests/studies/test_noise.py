import numpy as np
import pytest

from glocal_exp.studies.lab import Lab
from glocal_exp.studies.noise import TRIVIAL, Draw, NoiseStudy, draw, quartiles

EIGENVALUES = (0.9, 0.7, 0.5)
SETTINGS = {
    "systems": {
        "even": {"eigenvalues": [0.9, 0.7, 0.5], "scales": [1, 1, 1]},
        "uneven": {"eigenvalues": [0.9, 0.7, 0.5], "scales": [1, 1e-3, 1]},
    },
    "variants": {
        "default": {},
        "all_snapshots": {"amplitudes": "all"},
        "energy": {"rank": 0.99},
        "known_rank": {"rank": 4},
        "component_known_rank": {"rank": 4, "scaling": "component"},
    },
    "levels": [0.01],
    "decays": [0.9],
    "compared": {"first_2": {"delays": 2}, "all_2": {"delays": 2, "amplitudes": "all"}},
    "window": 80,
    "delays": 10,
    "draws": 25,
}


@pytest.fixture(scope="module")
def errors():
    """Median error of the steady state, by unit, at 1 % noise."""
    units = NoiseStudy(**SETTINGS).units(Lab(0, lambda _: pytest.fail("nothing is trained")))
    return {unit.name: unit.measure().rows[0]["steady"] for unit in units}


def test_noise_is_a_share_of_each_component():
    scales = (1.0, 1e-3, 10.0)
    loud, quiet = (
        draw(np.random.default_rng(3), 2000, level, EIGENVALUES, scales) for level in (0.1, 0.0)
    )
    share = np.std(loud.trajectory - quiet.trajectory, axis=0) / quiet.sizes
    # 2,000 numbers give a standard deviation to 1.6 %.
    np.testing.assert_allclose(share, 0.1, rtol=0.06)
    np.testing.assert_allclose(quiet.sizes, np.sqrt(np.mean(quiet.trajectory**2, axis=0)))


def test_the_answers_are_the_systems():
    drawn = draw(np.random.default_rng(0), 400, 0.0, EIGENVALUES, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(drawn.trajectory[-1], drawn.steady, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.sort(drawn.eigenvalues), [0.5, 0.7, 0.9, 1], atol=1e-12)
    assert drawn.error(drawn.steady) == 0
    assert drawn.spectral_error(drawn.eigenvalues) == 0


def test_errors_are_relative():
    sizes = np.array([1.0, 10.0])
    drawn = Draw(np.zeros((5, 2)), np.array([1.0, 20.0]), sizes, np.array([0.5, 1.0]))
    # 0.1 of the first, 0.7 of the second: the root of (0.01 + 0.49) / 2
    assert drawn.error(np.array([1.1, 13.0])) == pytest.approx(0.5)
    assert drawn.error(np.array([np.nan, 1.0])) == np.inf
    # 0.4 is nearest to 0.5, off by 20 %; 1 is off by 10 %.
    assert drawn.spectral_error(np.array([0.4, 1.1])) == pytest.approx(0.2)
    assert drawn.spectral_error(np.array([np.nan])) == np.inf


def test_infinite_errors_leave_the_quartiles_below_them():
    row = quartiles("steady", [1.0, 2.0, 3.0, np.inf, np.inf])
    assert row == {"steady": 3.0, "steady_low": 2.0, "steady_high": np.inf}
    assert quartiles("steady", []) == {}


# What each choice buys at 1 % noise; margins are half of what 100 draws measured or less.


def test_all_snapshots_average_the_noise_of_the_amplitudes(errors):
    assert errors["even-all_snapshots"] < 0.8 * errors["even-default"]


def test_dmd_beats_what_needs_no_decomposition(errors):
    assert errors["even-default"] < 0.6 * errors["even-last"]
    assert errors["even-default"] < 0.1 * errors["even-mean"]


def test_an_energy_share_keeps_nothing_but_the_steady_mode(errors):
    assert errors["even-energy"] > 5 * errors["even-default"]


def test_component_scaling_saves_a_small_component_from_truncation(errors):
    assert errors["uneven-component_known_rank"] < 0.7 * errors["uneven-known_rank"]
    # Without truncation the units of a component do not matter.
    assert errors["uneven-default"] == pytest.approx(errors["even-default"], rel=1e-3)


def test_few_delays_lose_to_the_last_hypergradient(errors):
    assert errors["decay=0.9-first_2"] > errors["even-last"]


def test_trivial_estimates():
    h = np.arange(6.0).reshape(3, 2)
    assert TRIVIAL["last"](h).tolist() == [4, 5]
    assert TRIVIAL["mean"](h).tolist() == [2, 3]


def test_the_hard_threshold_keeps_eigenvalues_that_full_rank_loses():
    """At 0.1 % noise, in the median over the draws; what it costs the steady state is reported."""
    variants = {"full": {}, "hard_threshold": {"rank": "hard_threshold"}}
    settings = SETTINGS | {"variants": variants, "levels": [1e-3], "decays": [], "compared": {}}
    units = NoiseStudy(**settings).units(Lab(0, lambda _: pytest.fail("nothing is trained")))
    found = {unit.name: unit.measure().rows[0].get("spectral") for unit in units}
    for system in ("even", "uneven"):
        assert found[f"{system}-hard_threshold"] < 0.6 * found[f"{system}-full"], found
