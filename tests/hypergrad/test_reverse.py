"""One sweep back against tangents, against plain reverse mode, and what it keeps in memory."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine.batches import batch_indices
from glocal_exp.hypergrad import contract, count, push_tangents, reverse, zero_tangents
from glocal_exp.hypergrad.reverse import train_and_pull_back
from glocal_exp.types import InnerState
from tests.problems import KEY, Network, regression

STEPS, BATCH = 25, 8
SPLITS = regression(0)
INDICES = batch_indices(0, 40, BATCH, 0, STEPS)
BATCHES = jax.tree.map(lambda leaf: jnp.asarray(leaf)[INDICES], SPLITS.train)
ROUNDING = 1e-8  # the same chain rule in another order of operations


def pulled(problem, batches=BATCHES, **settings):
    state, phi = problem.init(jax.random.key(1))

    def step(state, phi, batch):
        return problem.step(state, phi, batch, KEY)

    run = partial(train_and_pull_back, problem, step, validation=SPLITS.validation, **settings)
    return jax.jit(lambda state, phi: run(state, phi, batches))(state, phi)[:3]


@cache
def whole(rule):
    return pulled(Network(rule))


def pushed(problem):
    """The last state, the losses and h by tangents."""
    state, phi = problem.init(jax.random.key(1))

    def body(carry, batch):
        def step(state, phi):
            return problem.step(state, phi, batch, KEY)

        state, tangents, loss = push_tangents(step, carry[0], phi, carry[1])
        return (state, tangents), loss

    def everything(state, phi):
        carry = (state, zero_tangents(state, count(phi)))
        (final, tangents), losses = jax.lax.scan(body, carry, BATCHES)
        return final, losses, contract(problem, final, phi, tangents, SPLITS.validation).total

    return jax.jit(everything)(state, phi)


def relative(a, b):
    a, b = (np.asarray(ravel_pytree(tree)[0]) for tree in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("rule", ["sgd", "adam", "rmsprop"])
def test_it_is_forward_mode_in_the_other_order(rule):
    for mine, other in zip(whole(rule), pushed(Network(rule)), strict=True):
        assert relative(mine, other) < ROUNDING


@pytest.mark.parametrize("block", [1, 4, 5, 24, 25, 100])
@pytest.mark.parametrize("chunk", [None, 7])
def test_blocks_and_chunks_change_nothing_but_rounding(block, chunk):
    found = pulled(Network("sgd"), block=block, chunk=chunk, chunks_at_once=2)
    for mine, other in zip(found, whole("sgd"), strict=True):
        assert relative(mine, other) < 1e-12


def test_a_direct_dependence_on_the_hyperparameters_counts():
    class Penalized(Network):
        def meta_loss(self, state, phi, batch):
            penalty = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(phi))
            return super().meta_loss(state, phi, batch) + penalty

    problem = Penalized("sgd")
    _, phi = problem.init(jax.random.key(1))
    direct = 2 * ravel_pytree(phi)[0]
    h = pulled(problem)[2]
    assert relative(h - direct, whole("sgd")[2]) < ROUNDING
    assert relative(h, pushed(problem)[2]) < ROUNDING


def temporary_bytes(steps, block):
    problem = Network("sgd")
    state, phi = problem.init(jax.random.key(1))
    indices = batch_indices(0, 40, BATCH, 0, steps)
    batches = jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], SPLITS.train)

    def step(state, phi, batch):
        return problem.step(state, phi, batch, KEY)

    def run(state, phi, batches):
        return train_and_pull_back(
            problem, step, state, phi, batches, SPLITS.validation, block=block
        )

    compiled = jax.jit(run).lower(state, phi, batches).compile()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    return compiled.memory_analysis().temp_size_in_bytes / size


def test_unasked_states_are_kept_up_to_a_size_and_then_as_few_as_can_be(monkeypatch):
    state = InnerState({"w": jnp.zeros(4)}, (), jnp.array(0))
    monkeypatch.setattr(reverse, "KEPT_BYTES", 8 * state.params["w"].nbytes)
    blocks = [reverse.block_for(state, steps) for steps in (1, 8, 9, 10, 100, 101)]
    assert blocks == [None, None, 3, 4, 10, 11]


def test_memory_is_a_state_a_step_and_far_less_in_blocks():
    """In units of the state: 400 steps keep 400 states, or 20 + 20 in blocks of 20."""
    growth = (temporary_bytes(400, None) - temporary_bytes(100, None)) / 300
    assert 0.9 < growth < 1.6
    assert temporary_bytes(400, 20) < 0.35 * temporary_bytes(400, None)
