"""Every estimator on every problem, against two other ways of differentiating the whole run."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Forward, Hooks, LowRank, Numerics, Reverse, run
from glocal_exp.engine.batches import batch_indices
from glocal_exp.hypergrad import contract, count, push_tangents, train_and_pull_back, zero_tangents
from glocal_exp.hypergrad.lowrank import basis, columns_for, decompose, lift, rows_of, sample
from glocal_exp.methods.local import Local
from tests.problems import Descent, Network, Noisy, images, regression, reweighting

STEPS, BATCH, SEED = 12, 8, 0
PROBLEMS = {
    "sgd": (Network("sgd"), regression(0)),
    "adam": (Network("adam"), regression(0)),
    "rmsprop": (Network("rmsprop"), regression(0)),
    "noisy": (Noisy("sgd"), regression(0)),
    "descent": (Descent(), regression(0)),
    "reweight": (reweighting(hidden=32), images(0)),
    "reweight_detached": (reweighting(detach_weights=True, hidden=32), images(0)),
}
WITH_ROWS = [name for name in PROBLEMS if name.startswith("reweight")]
KEY = jax.random.key(SEED)
# The same chain rule in another order of operations.
ROUNDING = 1e-8
# What a basis leaves out is 1e-4 of the rows, and more of an h whose own sum of rows cancels.
LEFT_OUT = 1e-3
# Of central differences 1e-6 apart in float64, whose rounding is 1e-10 of losses near 1.
DIFFERENCES = 1e-5


class Case:
    """A problem from its start, with the batches and keys that the engine gives its steps."""

    def __init__(self, name):
        self.problem, self.splits = PROBLEMS[name]
        size = len(jax.tree.leaves(self.splits.train)[0])
        self.indices = jnp.asarray(batch_indices(SEED, size, BATCH, 0, STEPS))
        self.train = jax.tree.map(jnp.asarray, self.splits.train)
        self.validation = jax.tree.map(jnp.asarray, self.splits.validation)
        self.state, self.phi = self.problem.init(KEY)
        self.q = count(self.phi)

    def batch(self, chosen):
        return jax.tree.map(lambda leaf: leaf[chosen], self.train)

    def step(self, state, phi, chosen):
        key = jax.random.fold_in(KEY, state.step)
        return self.problem.step(state, phi, self.batch(chosen), key)

    def losses(self, flat):
        """The meta loss after every step, of hyperparameters that all steps share."""
        phi = ravel_pytree(self.phi)[1](flat)

        def body(state, chosen):
            state, _ = self.step(state, phi, chosen)
            return state, self.problem.meta_loss(state, phi, self.validation)

        return jax.lax.scan(body, self.state, self.indices)[1]

    def differentiate(self, mode):
        return np.asarray(jax.jit(mode(self.losses))(ravel_pytree(self.phi)[0]))

    def push(self, directions=None, chunk=None):
        """h after every step, by tangents."""

        def body(carry, chosen):
            state, tangents, _ = push_tangents(
                lambda state, phi: self.step(state, phi, chosen),
                *(carry[0], self.phi, carry[1]),
                directions=directions,
                chunk=chunk,
            )
            found = contract(
                self.problem,
                *(state, self.phi, tangents, self.validation),
                directions=directions,
                chunk=chunk,
            )
            return (state, tangents), found.total

        columns = self.q if directions is None else directions.shape[1]
        start = (self.state, zero_tangents(self.state, columns))
        return np.asarray(jax.jit(lambda start: jax.lax.scan(body, start, self.indices)[1])(start))


def forward(case, chunk=None):
    return case.push(chunk=chunk)


def reverse(case, block=None):
    pull = partial(train_and_pull_back, case.problem, case.step, block=block)
    arguments = (case.state, case.phi, case.indices, case.validation)
    return np.asarray(jax.jit(pull)(*arguments).h)[None]


def identity(case):
    """A basis that keeps every direction, as a tolerance of 0 asks for."""
    rows = decompose(np.eye(case.q), np.zeros(2))
    assert rows.rank(0) == case.q
    made = basis(rows, case.q, columns_for(case.q, 4, (8, 16), case.q), 4, (0,))
    h, error = lift(made, case.push(made.directions))
    assert error == 0
    return h


def low_rank(case):
    """Rows of what a plain pass meets, and the directions that the default tolerance keeps."""

    def body(state, chosen):
        met = case.problem.signals(state, case.phi, case.batch(chosen), None)
        return case.step(state, case.phi, chosen)[0], met

    met = jax.jit(lambda start: jax.lax.scan(body, start, case.indices)[1])(case.state)
    numbers = sample(np.asarray(met).ravel())
    rows = jax.jit(partial(rows_of, case.problem))(case.phi, jnp.asarray(numbers))
    rows = decompose(np.asarray(rows), numbers)
    rank = rows.rank(LowRank().tolerance)
    columns = columns_for(rank, 4, LowRank().sizes, case.q)
    assert columns < case.q / 2
    return lift(*(made := basis(rows, rank, columns, 4, (0,)), case.push(made.directions)))[0]


def engine(case, mode, evaluate="every"):
    """One outer step of the loop; in two segments where a sweep does not need one."""
    records = list(
        run(
            *(case.problem, case.splits, Local(evaluate)),
            steps=STEPS,
            interval=STEPS,
            batch_size=BATCH,
            seed=SEED,
            mode=mode,
            numerics=Numerics(segment=6, validation_chunk=5),
            hooks=Hooks(keep=lambda s: True),
        )
    )
    return records[1].arrays["trajectory"]


EXACT = {
    "forward": forward,
    "forward in chunks": partial(forward, chunk=2),
    "reverse": reverse,
    "reverse in blocks": partial(reverse, block=4),
    "along the identity": identity,
    "engine forward": partial(engine, mode=Forward()),
    "engine reverse": partial(engine, mode=Reverse(), evaluate="last"),
    "engine reverse in blocks": partial(engine, mode=Reverse(block=4), evaluate="last"),
}
LOW_RANK = {
    "low rank": low_rank,
    "engine low rank": partial(engine, mode=LowRank()),
    "engine low rank in chunks": partial(engine, mode=LowRank(chunk=5)),
    "engine low rank, last h": partial(engine, mode=LowRank(), evaluate="last"),
}
PAIRS = [(e, p, ROUNDING) for e in EXACT for p in PROBLEMS]
PAIRS += [(e, p, LEFT_OUT) for e in LOW_RANK for p in WITH_ROWS]
PAIRS += [("engine low rank, tolerance 0", p, ROUNDING) for p in WITH_ROWS]
ESTIMATORS = {
    **EXACT,
    **LOW_RANK,
    "engine low rank, tolerance 0": partial(engine, mode=LowRank(tolerance=0)),
}


@cache
def case(name):
    return Case(name)


@cache
def oracle(name, mode):
    return case(name).differentiate({"jacrev": jax.jacrev, "jacfwd": jax.jacfwd}[mode])


def error(found, expected):
    """Of the last rows, as many as were found, each relative to its own norm."""
    expected = expected[len(expected) - len(found) :]
    differences = np.linalg.norm(found - expected, axis=1)
    return np.max(differences / np.linalg.norm(expected, axis=1))


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_oracles_agree(name):
    assert error(oracle(name, "jacfwd"), oracle(name, "jacrev")) < ROUNDING


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_oracles_are_slopes(name):
    """Central differences see what a derivative that was stopped on its way does not."""
    losses, flat = jax.jit(case(name).losses), ravel_pytree(case(name).phi)[0]
    for direction in np.random.default_rng(0).normal(size=(3, len(flat))):
        move = 1e-6 * direction
        slopes = (losses(flat + move) - losses(flat - move)) / 2e-6
        expected = oracle(name, "jacrev") @ direction
        assert np.linalg.norm(slopes - expected) < DIFFERENCES * np.linalg.norm(expected)


@pytest.mark.parametrize(("estimator", "name", "tolerance"), PAIRS)
def test_hypergradients_are_those_of_the_whole_unrolled_run(estimator, name, tolerance):
    found = ESTIMATORS[estimator](case(name))
    assert found.shape[0] == (1 if "reverse" in estimator or "last" in estimator else STEPS)
    for mode in ("jacrev", "jacfwd"):
        assert error(found, oracle(name, mode)) < tolerance
