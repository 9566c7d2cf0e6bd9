"""Tangents and hypergradients against other ways of differentiating the whole unrolled run."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine.batches import batch_indices
from glocal_exp.hypergrad import contract, push_tangents, zero_tangents
from glocal_exp.hypergrad.forward import mean_over_chunks
from tests.problems import RULES, Network, regression

STEPS, BATCH = 25, 8
SPLITS = regression(0)


def batches():
    indices = batch_indices(0, 40, BATCH, 0, STEPS)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], SPLITS.train)


@partial(jax.jit, static_argnames=("problem", "unravel"))
def unrolled(problem, state, flat, unravel):
    """The state after all steps."""
    phi = unravel(flat)
    return jax.lax.scan(lambda s, b: (problem.step(s, phi, b, None)[0], None), state, batches())[0]


def inexact(state):
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.concatenate([leaf.ravel() for leaf in leaves])


@partial(jax.jit, static_argnames=("problem", "chunk"))
def pushed(problem, state, phi, directions=None, chunk=None):
    size = ravel_pytree(phi)[0].size if directions is None else directions.shape[1]

    def body(carry, batch):
        def step(state, phi):
            return problem.step(state, phi, batch, None)

        state, tangents, _ = push_tangents(
            step, carry[0], phi, carry[1], directions=directions, chunk=chunk
        )
        return (state, tangents), None

    return jax.lax.scan(body, (state, zero_tangents(state, size)), batches())[0]


def relative(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b))


@pytest.fixture(params=list(RULES), scope="module")
def case(request):
    problem = Network(request.param)
    state, phi = problem.init(jax.random.key(1))
    return problem, state, phi


def test_tangents_are_the_jacobian_of_the_unrolled_run(case):
    problem, state, phi = case
    flat, unravel = ravel_pytree(phi)
    jacobian = jax.jacfwd(lambda f: inexact(unrolled(problem, state, f, unravel)))(flat)
    final, tangents = pushed(problem, state, phi)
    columns = [t.reshape(flat.size, -1) for t in jax.tree.leaves(tangents)]
    # The same chain rule in another order of operations: rounding only.
    assert relative(jnp.concatenate(columns, axis=1).T, jacobian) < 1e-8
    np.testing.assert_array_equal(final.step, STEPS)


def test_hypergradient_equals_reverse_mode(case):
    problem, state, phi = case
    flat, unravel = ravel_pytree(phi)

    def outcome(f):
        return problem.meta_loss(
            unrolled(problem, state, f, unravel), unravel(f), SPLITS.validation
        )

    final, tangents = pushed(problem, state, phi)
    h = contract(problem, final, phi, tangents, SPLITS.validation)
    assert relative(h, jax.grad(outcome)(flat)) < 1e-8


def test_hypergradient_equals_finite_differences(case):
    problem, state, phi = case
    flat, unravel = ravel_pytree(phi)

    def outcome(f):
        return problem.meta_loss(
            unrolled(problem, state, f, unravel), unravel(f), SPLITS.validation
        )

    step = 1e-5  # truncation 1e-10, rounding 1e-11
    outcome = jax.jit(outcome)
    differences = [
        (outcome(flat + step * e) - outcome(flat - step * e)) / (2 * step)
        for e in jnp.eye(flat.size)
    ]
    final, tangents = pushed(problem, state, phi)
    h = contract(problem, final, phi, tangents, SPLITS.validation)
    assert relative(h, jnp.stack(differences)) < 1e-5


@pytest.mark.parametrize("chunk", [1, 2])
def test_pushing_in_chunks_changes_nothing(case, chunk):
    problem, state, phi = case
    _, whole = pushed(problem, state, phi)
    _, parts = pushed(problem, state, phi, chunk=chunk)
    for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_directions_are_combinations_of_all_tangents(case):
    problem, state, phi = case
    q = ravel_pytree(phi)[0].size
    directions = jnp.asarray(np.random.default_rng(0).normal(size=(q, 2)))
    final, tangents = pushed(problem, state, phi)
    full = contract(problem, final, phi, tangents, SPLITS.validation)
    final, few = pushed(problem, state, phi, directions=directions)
    h = contract(problem, final, phi, few, SPLITS.validation, directions=directions)
    np.testing.assert_allclose(h, full @ directions, rtol=1e-9)


@pytest.mark.parametrize("chunk", [1, 4, 5, 16, 17, 40, None])
def test_validation_in_chunks_changes_nothing(case, chunk):
    problem, state, phi = case
    final, tangents = pushed(problem, state, phi)
    whole = contract(problem, final, phi, tangents, SPLITS.validation)
    parts = contract(problem, final, phi, tangents, SPLITS.validation, chunk=chunk)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_mean_over_chunks_weighs_the_last_one_by_its_size():
    values = jnp.arange(7.0)
    assert mean_over_chunks(jnp.mean, values, 3) == pytest.approx(3.0, rel=1e-15)
