"""The basis of the tangent rows: linear algebra, and the weight network's 385 hyperparameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Forward, Hooks, LowRank, Reverse, run
from glocal_exp.hypergrad import lowrank
from glocal_exp.methods.local import Local
from glocal_exp.types import RowSpaceProblem
from tests.problems import images, reweighting

RNG = np.random.default_rng(0)
LAST, EVERY = Local(), Local("every")


def decaying_rows(n=300, q=40, decay=0.5):
    """Rows whose singular values fall by a constant factor."""
    left, _ = np.linalg.qr(RNG.normal(size=(n, q)))
    right, _ = np.linalg.qr(RNG.normal(size=(q, q)))
    return (left * decay ** np.arange(q)) @ right.T, right


def test_singular_vectors_and_what_each_rank_leaves_out():
    rows, right = decaying_rows()
    found = lowrank.decompose(rows, np.array([1.0, 2.0]))
    assert (found.low, found.high) == (1.0, 2.0)
    # The Gram matrix squares: below 1e-8 of the largest value is rounding, 1e-16 squared.
    overlap = np.abs(np.sum(found.vectors[:, :20] * right[:, :20], axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-9)
    # Geometric series: sqrt(sum_{j >= r} 4^-j / sum_j 4^-j) = 2^-r.
    np.testing.assert_allclose(found.left_out[:20], 0.5 ** np.arange(20), rtol=1e-4)
    assert found.rank(1e-3) == 10  # 2^-10 < 1e-3 < 2^-9
    assert found.rank(0) == 40
    for r in (3, 10):
        kept = found.vectors[:, :r]
        rest = np.linalg.norm(rows - rows @ kept @ kept.T) / np.linalg.norm(rows)
        assert rest == pytest.approx(found.left_out[r], rel=1e-6)


@pytest.mark.parametrize("rows", [np.zeros((4, 5)), np.full((4, 5), np.nan)])
def test_without_rows_there_is_nothing_to_span(rows):
    found = lowrank.decompose(rows, np.zeros(2))
    assert found.rank(1e-4) == 0
    made = lowrank.basis(found, 0, 4, 2, (0,))
    assert made.directions.shape == (5, 4)
    assert np.isfinite(made.directions).all()


@pytest.mark.parametrize("size", [1, 5, 100, 2**14 + 1])
def test_a_sample_has_a_power_of_two_of_numbers_and_a_margin(size):
    met = RNG.uniform(2, 4, size)
    numbers = lowrank.sample(met)
    assert len(numbers).bit_count() == 1
    assert len(numbers) >= min(size, lowrank.MOST // 2)
    assert (np.diff(numbers) >= 0).all()
    width = lowrank.MARGIN * (met.max() - met.min())
    np.testing.assert_allclose(numbers[[0, -1]], [met.min() - width, met.max() + width])
    if len(numbers) < lowrank.MOST:
        assert np.isin(met, numbers).all()
    inside = numbers[lowrank.BEYOND : len(numbers) - lowrank.BEYOND]
    assert np.isin(inside, met).all()


def test_what_is_not_finite_is_not_sampled():
    numbers = lowrank.sample(np.array([np.nan, 1.0, np.inf]))
    assert (numbers == 1).all()
    assert np.isfinite(lowrank.sample(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("rank", "columns"), [(0, 8), (4, 8), (5, 16), (12, 16), (13, 40), (36, 40), (40, 40)]
)
def test_columns_come_in_a_few_sizes(rank, columns):
    assert lowrank.columns_for(rank, 4, (16, 8, 64), 40) == columns


def test_columns_are_orthonormal_and_probes_are_outside_of_their_span():
    rows, right = decaying_rows()
    made = lowrank.basis(lowrank.decompose(rows, np.zeros(2)), 5, 12, 4, (3, 1))
    assert (made.columns, int(made.rank), int(made.probes)) == (12, 5, 4)
    kept, probes = made.directions[:, :8], made.directions[:, 8:]
    np.testing.assert_allclose(kept.T @ kept, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(kept.T @ probes, 0, atol=1e-12)
    # Spare columns hold the next singular directions.
    np.testing.assert_allclose(np.abs(np.sum(kept * right[:, :8], axis=0)), 1, atol=1e-9)
    again = lowrank.basis(lowrank.decompose(rows, np.zeros(2)), 5, 12, 4, (3, 1))
    assert np.asarray(again.directions).tobytes() == np.asarray(made.directions).tobytes()
    other = lowrank.basis(lowrank.decompose(rows, np.zeros(2)), 5, 12, 4, (3, 2))
    assert not np.allclose(other.directions[:, 8:], probes)


def test_what_was_pushed_is_lifted_to_the_projection():
    rows, _ = decaying_rows()
    made = lowrank.basis(lowrank.decompose(rows, np.zeros(2)), 5, 12, 4, (0,))
    h = RNG.normal(size=(7, 40))
    kept = np.asarray(made.directions[:, :8])
    found, _ = lowrank.lift(made, h @ np.asarray(made.directions))
    np.testing.assert_allclose(found, h @ kept @ kept.T, atol=1e-12)


def test_probes_estimate_the_squared_error_without_bias():
    """The mean over 400 draws of 4 probes, each chi-squared: 2.5 % standard error, 4 of them."""
    rows, _ = decaying_rows()
    found = lowrank.decompose(rows, np.zeros(2))
    h = RNG.normal(size=(1, 40)) * 0.5 ** np.arange(40)
    h = h @ found.vectors.T  # falls off along the singular directions
    true = np.linalg.norm(h @ found.vectors[:, 8:]) ** 2 / np.linalg.norm(h) ** 2
    estimates = []
    for seed in range(400):
        made = lowrank.basis(found, 8, 12, 4, (seed,))
        estimates.append(lowrank.lift(made, h @ np.asarray(made.directions))[1] ** 2)
    assert np.mean(estimates) == pytest.approx(true, rel=4 * np.sqrt(2 / 4 / 400))


def test_the_identity_has_no_error():
    found = lowrank.decompose(np.eye(5), np.zeros(2))
    made = lowrank.basis(found, 5, 5, 4, (0,))
    assert np.array_equal(made.directions, np.eye(5))
    h = RNG.normal(size=(3, 5))
    lifted, error = lowrank.lift(made, h)
    assert np.array_equal(lifted, h)
    assert error == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_what_is_not_finite_has_no_error_that_looks_small(value):
    """Of training that has diverged; and no warning."""
    made = lowrank.basis(lowrank.decompose(np.eye(5), np.zeros(2)), 2, 4, 1, (0,))
    assert np.isnan(lowrank.lift(made, np.full((3, 4), value))[1])


@pytest.mark.parametrize("numbers", [[0.5, 1.5], [-0.1, 1.5, 2.5, np.nan]])
def test_numbers_outside_are_counted(numbers):
    rows = lowrank.decompose(np.eye(5), np.array([0.0, 2.0]))
    made = lowrank.basis(rows, 2, 4, 1, (0,))
    expected = sum(not 0 <= number <= 2 for number in numbers)
    assert int(lowrank.count_outside(made, jnp.asarray(numbers))) == expected


# All 385 hyperparameters, at the start and where training has moved losses and kinks.
INTERVAL, BATCH = 15, 20
AIM = 1e-3  # of the relative error, at the default tolerance
KINDS = {
    "torch": {},
    "he_normal": {"initializer": "he_normal"},
    "sharp": {"scale": 3.0},
    "kinked": {"kinks": 5.0, "initializer": "torch"},
}
META = optax.adam(0.03)
_compiled: dict[bool, dict] = {}


class Started(RowSpaceProblem):
    """A problem that starts where training has led another."""

    problem: RowSpaceProblem
    start: tuple

    def init(self, key):
        return self.start

    def step(self, state, phi, batch, key):
        return self.problem.step(state, phi, batch, key)

    def meta_loss(self, state, phi, batch):
        return self.problem.meta_loss(state, phi, batch)

    def describe(self, phi):
        return {}

    def signals(self, state, phi, batch, key):
        return self.problem.signals(state, phi, batch, key)

    def tangent_rows(self, phi, signals):
        return self.problem.tangent_rows(phi, signals)


def loop(problem, seed, mode, detach, intervals, method=LAST):
    """A run whose compiled programs are shared: initial values differ, but nothing compiled."""
    begun = run(
        *(problem, images(seed, train=100), method),
        steps=intervals * INTERVAL,
        interval=INTERVAL,
        batch_size=BATCH,
        seed=seed,
        mode=mode,
        meta_optimizer=META,
        hooks=Hooks(keep=lambda s: True),
    )
    programs = begun.work.programs
    programs._compiled = _compiled.setdefault(detach, programs._compiled)
    return begun


def trained(kind, detach, seed, intervals):
    problem = reweighting(detach, **KINDS[kind])
    if intervals == 0:
        return Started(problem, problem.init(jax.random.key(seed)))
    begun = loop(problem, seed, Reverse(), detach, intervals)
    list(begun)
    return Started(problem, (begun.states[seed], begun.hyperparams[seed]))


def interval(problem, seed, mode, detach):
    return list(loop(problem, seed, mode, detach, 1, EVERY))[1]


def distances(few, exact):
    """Of whole trajectories, as the estimate is; and of every h by itself."""
    a, b = (record.arrays["trajectory"] for record in (few, exact))
    each = np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)
    return np.linalg.norm(a - b) / np.linalg.norm(b), each


@pytest.mark.parametrize(
    ("seed", "intervals", "detach"),
    [(0, 0, False), (1, 20, True)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in ((0, 0, True), (1, 20, False))],
)
@pytest.mark.parametrize("kind", KINDS)
def test_few_tangents_give_what_all_385_do(kind, detach, seed, intervals):
    problem = trained(kind, detach, seed, intervals)
    exact = interval(problem, seed, Forward(), detach)
    few = interval(problem, seed, LowRank(), detach)
    found = few.diagnostics
    assert found["low_rank_tangents"] <= 96
    error, each = distances(few, exact)
    assert max(error, *each) < AIM
    # 15 h_t that are alike, and 4 probes: a factor of 6 below is 1 in 1000, 3 above 1 in 10^6.
    floor = 1e-13  # rounding
    assert error / 6 - floor < found["low_rank_error"] < 3 * error + floor
    assert found["low_rank_outside"] == 0


def test_kinks_raise_the_rank():
    """Biases that start at 0 put all kinks at a loss of 0; training moves them into the losses."""
    ranks = {}
    for intervals in (0, 20):
        problem = trained("he_normal", True, 0, intervals)
        ranks[intervals] = interval(problem, 0, LowRank(), True).diagnostics["low_rank"]
    assert ranks[0] <= 2 < 10 < ranks[20]
