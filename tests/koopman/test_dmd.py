import warnings
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.koopman.dmd import HankelDMD, Spectrum
from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.koopman.rank import hard_threshold_coefficient

from .systems import AffineSystem, matching, random_system, spiral

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pydmd = pytest.importorskip("pydmd", reason="PyDMD, the oracle, is not installed")

CONFIGS = Path(__file__).parents[2] / "configs" / "dmd"


def compare(trajectory, delays, amplitudes, rank="full"):
    """Check eigenvalues, modes, amplitudes and snapshots against PyDMD's; return both."""
    spectrum = HankelDMD(rank=rank, amplitudes=amplitudes).fit(trajectory, delays)
    reference = pydmd.HankelDMD(
        svd_rank=spectrum.rank, exact=True, opt=amplitudes == "all", d=delays
    )
    with warnings.catch_warnings():
        # It warns of ill-conditioned snapshots, which is what noise-free low rank is.
        warnings.simplefilter("ignore")
        reference.fit(trajectory.T)
        theirs = reference.amplitudes * reference.modes

    # Tolerance: both lose up to the condition number of the kept singular values, below 1e6 here.
    order = matching(spectrum.eigenvalues, reference.eigs)
    assert np.allclose(spectrum.eigenvalues[order], reference.eigs, rtol=0, atol=1e-8)
    # Modes are unique up to a factor that the amplitudes undo: compare the products.
    tolerance = 1e-8 * np.abs(trajectory).max()
    ours = (spectrum.amplitudes * spectrum.modes)[:, order]
    assert np.allclose(ours, theirs, rtol=0, atol=tolerance)
    times = np.arange(spectrum.snapshots)
    size = trajectory.shape[1]
    expected = (theirs[:size] @ np.vander(reference.eigs, len(times), increasing=True)).real.T
    assert np.allclose(spectrum.at(times), expected, rtol=0, atol=tolerance)
    return spectrum, reference


@pytest.mark.parametrize("amplitudes", ["first", "all"])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    ("seed", "size", "steps", "delays"),
    [(0, 1, 20, 2), (1, 2, 40, 3), (2, 3, 80, 10), (3, 3, 25, 12), (4, 5, 80, 4)],
)
def test_agrees_with_pydmd_on_linear_systems(seed, size, steps, delays, affine, amplitudes):
    trajectory = random_system(seed, size, affine=affine).trajectory(steps)
    spectrum, reference = compare(trajectory, delays, amplitudes)
    assert spectrum.rank == size + affine
    reconstruction = spectrum.at(np.arange(steps))
    tolerance = 1e-8 * np.abs(trajectory).max()
    assert np.allclose(reconstruction, reference.reconstructed_data.T, rtol=0, atol=tolerance)


@pytest.mark.parametrize("amplitudes", ["first", "all"])
@pytest.mark.parametrize("rank", ["full", 5])
@pytest.mark.parametrize(("steps", "size", "delays"), [(80, 3, 10), (30, 8, 6), (40, 40, 5)])
def test_agrees_with_pydmd_on_noise(steps, size, delays, rank, amplitudes):
    # Both shapes of the snapshots: wide (30 x 70) and tall (48 x 24, 200 x 35).
    rng = np.random.default_rng(7)
    trajectory = random_system(7, size).trajectory(steps)
    trajectory += 0.1 * np.abs(trajectory).max() * rng.standard_normal(trajectory.shape)
    compare(trajectory, delays, amplitudes, rank)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("radius", [0.6, 0.95, 1.05])
@pytest.mark.parametrize("amplitudes", ["first", "all"])
def test_reproduces_and_continues_linear_trajectories(size, radius, amplitudes):
    system = random_system(size, size, radius)
    trajectory = system.trajectory(90)
    spectrum = HankelDMD(amplitudes=amplitudes).fit(trajectory[:60], 6)
    times = np.arange(90)
    # Extrapolation by 35 steps multiplies the eigenvalues' errors of about 1e-12 by 35.
    tolerance = 1e-8 * np.abs(trajectory).max()
    assert np.allclose(spectrum.at(times), trajectory, rtol=0, atol=tolerance)
    assert np.allclose(spectrum.at(17), spectrum.at(times)[17], rtol=1e-12)
    expected = np.append(np.linalg.eigvals(system.transition), 1.0)
    order = matching(spectrum.eigenvalues, expected)
    assert np.allclose(spectrum.eigenvalues[order], expected, rtol=0, atol=1e-8)
    assert spectrum.spectral_radius == pytest.approx(max(radius, 1.0), abs=1e-8)


def test_modes_hold_every_delay():
    system = random_system(3, 3)
    spectrum = HankelDMD().fit(system.trajectory(40), 5)
    blocks = spectrum.modes.reshape(5, 3, spectrum.rank)
    # An eigenvector of a delay embedding repeats its first block, times lambda for each delay.
    for delay in range(5):
        expected = blocks[0] * spectrum.eigenvalues**delay
        assert np.allclose(blocks[delay], expected, rtol=0, atol=1e-9)


def test_eigenvalues_of_a_spiral_are_a_conjugate_pair():
    system = AffineSystem(spiral(0.9, 0.5), np.zeros(2), np.array([1.0, 0.0]))
    spectrum = HankelDMD().fit(system.trajectory(30), 3)
    expected = 0.9 * np.exp(1j * np.array([0.5, -0.5]))
    order = matching(spectrum.eigenvalues, expected)
    assert np.allclose(spectrum.eigenvalues[order], expected, rtol=0, atol=1e-12)


def test_spectrum_knows_its_shape():
    trajectory = np.random.default_rng(0).standard_normal((80, 3)).astype(np.float32)
    spectrum = HankelDMD().fit(trajectory, 10, stride=2)
    assert (spectrum.block_size, spectrum.delays, spectrum.snapshots) == (3, 10, 71)
    assert (spectrum.rank, spectrum.stride) == (30, 2)
    assert spectrum.modes.shape == (30, 30)
    parts = (spectrum.eigenvalues, spectrum.modes, spectrum.amplitudes)
    assert all(part.dtype == np.complex128 for part in parts)


@pytest.mark.parametrize("scaling", ["none", "component"])
def test_many_hyperparameters(scaling):
    # 385 hypergradients driven by 4 hidden ones: 3850 x 71 snapshots of rank 5.
    rng = np.random.default_rng(0)
    system = random_system(0, 4, 0.9)
    mixing = rng.standard_normal((385, 4)) * 10.0 ** rng.uniform(-3, 0, (385, 1))
    spectrum = HankelDMD(scaling=scaling).fit(system.trajectory(80) @ mixing.T, 10)
    assert spectrum.rank == 5
    steady = spectrum.steady_state(0.02)
    assert np.allclose(steady, mixing @ system.fixed_point, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rank", ["hard_threshold", 4, 0.99999])
def test_truncation_filters_noise(rank):
    system = random_system(11, 3, 0.9)
    clean = system.trajectory(80)
    trajectory = clean + 1e-4 * np.random.default_rng(0).standard_normal(clean.shape)
    spectrum = HankelDMD(rank=rank).fit(trajectory, 10)
    assert spectrum.rank <= 6 < HankelDMD().fit(trajectory, 10).rank == 30
    # Noise of 1e-4 on a fixed point of size 1, anchored 70 steps from the amplitudes' fit.
    assert np.allclose(spectrum.steady_state(0.02), system.fixed_point, rtol=0, atol=1e-2)


def test_hard_threshold_sees_the_shape_of_the_snapshots():
    # 500 x 35 snapshots: the threshold is 1.56 medians, where a square matrix's is 2.86.
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((20, 100)) * np.geomspace(1, 1e-2, 20)[:, None]
    trajectory = rng.standard_normal((40, 20)) @ mixing + 0.1 * rng.standard_normal((40, 100))
    past = delay_embedding(trajectory, 5)[:, :-1]
    values = np.linalg.svd(past, compute_uv=False)
    expected = np.count_nonzero(values > hard_threshold_coefficient(35 / 500) * np.median(values))
    assert expected != np.count_nonzero(
        values > hard_threshold_coefficient(1.0) * np.median(values)
    )
    assert HankelDMD(rank="hard_threshold").fit(trajectory, 5).rank == expected


def test_component_scaling_divides_by_the_root_mean_square():
    rng = np.random.default_rng(0)
    trajectory = rng.standard_normal((60, 2))
    trajectory[:, 1] = 0.01 * rng.standard_normal(60)
    trajectory[30, 1] = 1  # The peak is 8 times the root mean square.
    sizes = np.sqrt(np.mean(trajectory**2, axis=0))
    sizes = 2.0 ** np.floor(np.log2(sizes))
    expected = HankelDMD(rank=5).fit(trajectory / sizes, 6)
    found = HankelDMD(rank=5, scaling="component").fit(trajectory, 6)
    order = matching(found.eigenvalues, expected.eigenvalues)
    # The two differ by a common power of two, that is by nothing but the order of roundings.
    assert np.allclose(found.eigenvalues[order], expected.eigenvalues, rtol=0, atol=1e-10)
    assert np.allclose(found.at(3), expected.at(3) * sizes, rtol=1e-9)


@pytest.mark.parametrize("scaling", ["none", "component"])
def test_wide_dynamic_range(scaling):
    # A learning rate's hypergradient of 1e-1 beside a weight decay's of 1e-6.
    system = random_system(5, 3, 0.9)
    sizes = np.array([1e-1, 1e-3, 1e-6])
    spectrum = HankelDMD(scaling=scaling).fit(system.trajectory(80) * sizes, 10)
    errors = np.abs(spectrum.steady_state(0.02) / sizes - system.fixed_point)
    # Unscaled, rounding is relative to the largest component, 1e5 times the smallest.
    assert np.all(errors < (1e-8 if scaling == "component" else 1e-6))


def test_component_scaling_makes_truncation_blind_to_units():
    rng = np.random.default_rng(6)
    trajectory = random_system(6, 3, 0.9).trajectory(80)
    trajectory += 1e-2 * rng.standard_normal(trajectory.shape)
    sizes = np.array([1.0, 2.0**-10, 2.0**-20])
    settings = HankelDMD(rank=4, scaling="component")
    expected = settings.fit(trajectory, 10).steady_state(0.05)
    steady = settings.fit(trajectory * sizes, 10).steady_state(0.05)
    assert np.array_equal(steady, expected * sizes)
    unscaled = HankelDMD(rank=4).fit(trajectory * sizes, 10).steady_state(0.05)
    assert not np.allclose(unscaled / sizes, expected, rtol=1e-2)


@pytest.mark.parametrize("scaling", ["none", "component"])
@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**900])
def test_scale_of_the_trajectory_does_not_matter(factor, scaling):
    trajectory = np.random.default_rng(0).standard_normal((30, 2))
    settings = HankelDMD(scaling=scaling)
    small, large = settings.fit(trajectory, 4), settings.fit(trajectory * factor, 4)
    assert np.array_equal(small.eigenvalues, large.eigenvalues)
    assert np.array_equal(small.at(3) * factor, large.at(3))


@pytest.mark.parametrize("amplitudes", ["first", "all"])
def test_constant_trajectory_has_the_eigenvalue_one(amplitudes):
    constant = np.array([0.3, -2.0, 1e-6])
    spectrum = HankelDMD(amplitudes=amplitudes).fit(np.tile(constant, (80, 1)), 10)
    assert spectrum.rank == 1
    # A few roundings.
    assert spectrum.eigenvalues[0] == pytest.approx(1, abs=1e-14)
    assert np.allclose(spectrum.steady_state(1e-12), constant, rtol=1e-12)


@pytest.mark.parametrize("amplitudes", ["first", "all"])
@pytest.mark.parametrize("rank", ["full", 3, 0.9, "hard_threshold"])
def test_zero_trajectory_has_no_modes(rank, amplitudes):
    spectrum = HankelDMD(rank=rank, amplitudes=amplitudes).fit(np.zeros((20, 3)), 4)
    assert spectrum.rank == 0
    assert spectrum.spectral_radius == 0
    assert np.array_equal(spectrum.steady_state(0.02), np.zeros(3))
    assert np.array_equal(spectrum.finite_horizon(100), np.zeros(3))
    assert np.array_equal(spectrum.at(np.arange(5)), np.zeros((5, 3)))
    assert spectrum.magnitudes(0, 7).shape == (0, 7)


def test_one_component_may_be_zero():
    trajectory = random_system(1, 2).trajectory(60) * np.array([1.0, 0.0])
    steady = HankelDMD(scaling="component").fit(trajectory, 5).steady_state(0.02)
    assert steady[1] == 0 != steady[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scaling", ["none", "component"])
def test_a_trajectory_that_is_not_finite_gives_nan(bad, scaling):
    trajectory = np.ones((20, 3))
    trajectory[7, 1] = bad
    spectrum = HankelDMD(scaling=scaling).fit(trajectory, 4)
    assert spectrum.modes.shape == (12, 1)
    assert np.isnan(spectrum.spectral_radius)
    assert np.all(np.isnan(spectrum.at(0)))
    assert not spectrum.steady(0.02).any()


def test_a_decomposition_that_does_not_converge_gives_nan(monkeypatch):
    def fail(*args, **kwargs):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", fail)
    assert np.all(np.isnan(HankelDMD().fit(np.ones((20, 3)), 4).at(0)))


def test_the_smallest_trajectory_is_two_snapshots():
    spectrum = HankelDMD().fit(np.array([[1.0], [0.5], [0.25]]), 2)
    assert spectrum.eigenvalues == pytest.approx([0.5], abs=1e-14)
    assert isinstance(spectrum, Spectrum)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"rank": "all"}, "rank"),
        ({"rank": 0}, "rank"),
        ({"rank_tolerance": -1e-9}, "tolerance"),
        ({"rank_tolerance": 1.0}, "tolerance"),
        ({"rank_tolerance": float("nan")}, "tolerance"),
        ({"amplitudes": "last"}, "amplitudes"),
        ({"scaling": "rows"}, "scaling"),
        ({"regression": "ridge"}, "regression"),
    ],
)
def test_wrong_settings_are_refused(settings, word):
    with pytest.raises(UserError, match=word):
        HankelDMD(**settings)


def test_wrong_fits_are_refused():
    with pytest.raises(UserError, match="delays"):
        HankelDMD().fit(np.zeros((10, 2)), 10)
    with pytest.raises(UserError, match="stride"):
        HankelDMD().fit(np.zeros((10, 2)), 2, stride=0)


def test_the_config_holds_the_defaults():
    omegaconf = pytest.importorskip("omegaconf")
    config = dict(omegaconf.OmegaConf.load(CONFIGS / "hankel.yaml"))
    assert config.pop("_target_") == f"{HankelDMD.__module__}.{HankelDMD.__qualname__}"
    assert HankelDMD(**config) == HankelDMD()
    # The other regressions are files of their own.
    assert {*config, "regression"} == set(HankelDMD.__dataclass_fields__)
