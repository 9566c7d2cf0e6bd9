"""Tangents and hypergradients against other ways of differentiating the whole unrolled run."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine.batches import batch_indices
from glocal_exp.hypergrad import contract, count, names, push_tangents, zero_tangents
from glocal_exp.hypergrad.forward import mean_over_chunks
from tests.problems import KEY, Network, regression

STEPS, BATCH = 25, 8
SPLITS = regression(0)
INDICES = batch_indices(0, 40, BATCH, 0, STEPS)
BATCHES = jax.tree.map(lambda leaf: jnp.asarray(leaf)[INDICES], SPLITS.train)
VALIDATION = SPLITS.validation
ROUNDING = 1e-8  # the same chain rule in another order of operations


def flatten(tree, *leading):
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.concatenate([leaf.reshape(*leading, -1) for leaf in leaves], axis=-1)


class Case:
    """A rule with its unrolled run, every function of it compiled once."""

    def __init__(self, rule):
        self.problem = Network(rule)
        self.state, self.phi = self.problem.init(jax.random.key(1))
        self.flat, unravel = ravel_pytree(self.phi)

        def outcome(flat):
            """The state after all steps, without its counts, and the validation loss."""
            phi = unravel(flat)

            def body(state, batch):
                return self.problem.step(state, phi, batch, KEY)[0], None

            final, _ = jax.lax.scan(body, self.state, BATCHES)
            return flatten(final), self.problem.meta_loss(final, phi, VALIDATION)

        self.outcome = jax.jit(outcome)
        self.forward = jax.jit(jax.jacfwd(outcome))
        self.reverse = jax.jit(jax.grad(lambda flat: outcome(flat)[1]))
        self.pushed = partial(jax.jit(self._pushed, static_argnames="chunk"), self.state, self.phi)
        self.final, self.tangents, self.h = self.pushed()
        self._contract = jax.jit(partial(contract, self.problem), static_argnames="chunk")

    def _pushed(self, state, phi, directions=None, chunk=None):
        size = count(phi) if directions is None else directions.shape[1]

        def body(carry, batch):
            def step(state, phi):
                return self.problem.step(state, phi, batch, KEY)

            state, tangents, _ = push_tangents(
                step, carry[0], phi, carry[1], directions=directions, chunk=chunk
            )
            return (state, tangents), None

        start = (state, zero_tangents(state, size))
        (final, tangents), _ = jax.lax.scan(body, start, BATCHES)
        found = contract(self.problem, final, phi, tangents, VALIDATION, directions=directions)
        return final, tangents, found.total

    def contract(self, tangents, chunk):
        return self._contract(self.final, self.phi, tangents, VALIDATION, chunk=chunk).total


@pytest.fixture(scope="module")
def cases():
    made = {}

    def get(rule):
        if rule not in made:
            made[rule] = Case(rule)
        return made[rule]

    return get


def relative(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b))


@pytest.mark.parametrize("rule", ["sgd", "adam", "rmsprop"])
def test_tangents_are_the_jacobian_of_the_unrolled_run(rule, cases):
    case = cases(rule)
    jacobian, slope = case.forward(case.flat)
    tangents = flatten(case.tangents, case.flat.size).T
    assert tangents.shape == jacobian.shape
    for mine, other in zip(tangents.T, jacobian.T, strict=True):  # one hyperparameter at a time
        assert relative(mine, other) < ROUNDING
    assert relative(case.h, slope) < ROUNDING
    assert case.final.step == STEPS


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_hypergradient_equals_reverse_mode(rule, cases):
    case = cases(rule)
    assert relative(case.h, case.reverse(case.flat)) < ROUNDING


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_hypergradient_equals_finite_differences(rule, cases):
    case = cases(rule)
    step = 1e-5  # truncation 1e-10, rounding 1e-11
    differences = [
        (case.outcome(case.flat + step * e)[1] - case.outcome(case.flat - step * e)[1]) / (2 * step)
        for e in jnp.eye(case.flat.size)
    ]
    assert relative(case.h, jnp.stack(differences)) < 1e-5
    np.testing.assert_allclose(flatten(case.final), case.outcome(case.flat)[0], rtol=1e-12)


@pytest.mark.parametrize(("rule", "chunk"), [("sgd", 1), ("sgd", 2), ("adam", 2)])
def test_pushing_in_chunks_changes_nothing(rule, chunk, cases):
    case = cases(rule)
    final, parts, _ = case.pushed(chunk=chunk)
    np.testing.assert_allclose(flatten(final), flatten(case.final), rtol=1e-12)
    for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(case.tangents), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_directions_are_combinations_of_all_tangents(cases):
    case = cases("adam")
    directions = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)))
    _, _, h = case.pushed(directions=directions)
    np.testing.assert_allclose(h, case.h @ directions, rtol=1e-9)


@pytest.mark.parametrize("chunk", [1, 5, 17, 40])
def test_validation_in_chunks_changes_nothing(chunk, cases):
    case = cases("sgd")
    parts = case.contract(case.tangents, chunk=chunk)
    np.testing.assert_allclose(parts, case.h, rtol=1e-12)


def test_the_direct_derivative_counts(cases):
    """With Z = 0 only the validation loss's own learning rate is left: 0.01 times its square."""
    case = cases("sgd")
    h = case.contract(jax.tree.map(jnp.zeros_like, case.tangents), chunk=5)
    np.testing.assert_allclose(h, [0.02 * case.phi["learning_rate"], 0, 0], rtol=1e-14)


@pytest.mark.parametrize("at_once", [1, 2, 9])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100, None])
def test_mean_over_chunks_weighs_the_last_one_by_its_size(chunk, at_once):
    batch = {"a": jnp.arange(7.0), "b": jnp.arange(14.0).reshape(7, 2) ** 2}

    def means(piece):
        return jax.tree.map(jnp.mean, piece)

    found = mean_over_chunks(means, batch, chunk, at_once=at_once)
    assert float(found["a"]) == pytest.approx(3.0, rel=1e-15)
    assert float(found["b"]) == pytest.approx(np.mean(np.arange(14.0) ** 2), rel=1e-15)


def test_names_are_in_the_order_of_the_hypergradient():
    phi = {"b": jnp.arange(4.0).reshape(2, 2), "a": (jnp.array(9.0), jnp.array([8.0]))}
    assert count(phi) == 6
    named = dict(zip(names(phi), ravel_pytree(phi)[0].tolist(), strict=True))
    assert named == {"a/0": 9, "a/1[0]": 8, "b[0]": 0, "b[1]": 1, "b[2]": 2, "b[3]": 3}
    assert names(jnp.array(1.0)) == ("phi",)


def test_counts_have_no_tangents(cases):
    state = cases("adam").state
    zero = zero_tangents(state, 3)
    assert zero.step is None
    assert zero.params["w1"].shape == (3, *state.params["w1"].shape)
    counts = [leaf for leaf in jax.tree.leaves(state.opt_state) if leaf.dtype == np.int32]
    assert counts  # Adam's: what is left out here
    assert len(jax.tree.leaves(zero)) == len(jax.tree.leaves(state)) - len(counts) - 1
