"""The symmetric sweep back through a gradient against tangents and against plain reverse mode."""

from contextlib import nullcontext
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine.batches import batch_indices
from glocal_exp.errors import UserError
from glocal_exp.hypergrad import contract, count, push_tangents, reverse, zero_tangents
from glocal_exp.hypergrad.gradient import value_and_gradient, while_pulling
from glocal_exp.types import InnerState
from tests.problems import Network, regression

STEPS, BATCH = 12, 8
SPLITS = regression(0)
INDICES = batch_indices(0, 40, BATCH, 0, STEPS)
INPUTS = (
    jax.tree.map(lambda leaf: jnp.asarray(leaf)[INDICES], SPLITS.train),
    jax.random.split(jax.random.key(3), STEPS),
)
ROUNDING = 1e-9  # the same chain rule in another order of operations


class Enclosing(Network):
    """Its training loss encloses hyperparameters and a key, and moves the weights by its value."""

    chunk: int | None = None

    def step(self, state, phi, batch, key):
        def loss(params, piece):
            noise = 0.1 * jax.random.normal(key, (3,))
            penalty = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
            noisy = {"x": piece["x"] + noise, "y": piece["y"]}
            return self._loss(params, noisy) + jnp.exp(phi["weight_decay"]) * penalty

        value, gradient = value_and_gradient(loss, state.params, batch, chunk=self.chunk)
        optimizer = self._optimizer(phi)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = jax.tree.map(lambda p: p * (1 - 0.01 * value), state.params)
        params = optax.apply_updates(params, updates)
        return InnerState(params, opt_state, state.step + 1), value


def one_step(problem):
    return lambda state, phi, given: problem.step(state, phi, *given)


def pull(problem, **settings):
    """The compiled sweep, and what it is called with."""
    state, phi = problem.init(jax.random.key(1))

    def run(state, phi, inputs):
        return reverse.train_and_pull_back(
            problem, one_step(problem), state, phi, inputs, SPLITS.validation, **settings
        )

    return jax.jit(run), (state, phi, INPUTS)


def pulled(problem, **settings):
    run, given = pull(problem, **settings)
    return run(*given)


@cache
def pushed(problem):
    state, phi = problem.init(jax.random.key(1))

    def body(carry, given):
        def step(state, phi):
            return one_step(problem)(state, phi, given)

        state, tangents, loss = push_tangents(step, carry[0], phi, carry[1])
        return (state, tangents), loss

    def everything(state, phi):
        carry = (state, zero_tangents(state, count(phi)))
        (final, tangents), losses = jax.lax.scan(body, carry, INPUTS)
        return final, losses, contract(problem, final, phi, tangents, SPLITS.validation).total

    return jax.jit(everything)(state, phi)


def relative(a, b):
    a, b = (np.asarray(ravel_pytree(tree)[0]) for tree in (a, b))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("chunk", [None, 4, 3])
@pytest.mark.parametrize("block", [None, 4])
def test_what_the_loss_encloses_and_its_value_are_differentiated(chunk, block):
    problem = Enclosing("sgd", chunk=chunk)
    for mine, other in zip(pulled(problem, block=block)[:3], pushed(problem), strict=True):
        assert relative(mine, other) < ROUNDING


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_other_rules_of_optax(rule):
    class Plain(Network):
        def step(self, state, phi, batch, key):
            value, gradient = value_and_gradient(self._loss, state.params, batch, chunk=3)
            optimizer = self._optimizer(phi)
            updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            return InnerState(params, opt_state, state.step + 1), value

    problem = Plain(rule)
    assert relative(pulled(problem)[2], pushed(problem)[2]) < ROUNDING


def test_seeds_side_by_side_are_those_in_turn():
    problem = Enclosing("sgd", chunk=3)
    run, (state, phi, inputs) = pull(problem)
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf * 2]), state)
    h = jax.jit(jax.vmap(run, in_axes=(0, None, None)))(states, phi, inputs).h
    double = jax.tree.map(lambda leaf: leaf * 2, state)
    for mine, start in zip(h, (state, double), strict=True):
        assert relative(mine, run(start, phi, inputs).h) < ROUNDING


def test_examples_that_depend_on_the_hyperparameters_are_refused():
    class Shifted(Network):
        def step(self, state, phi, batch, key):
            moved = {"x": batch["x"] + phi["momentum"], "y": batch["y"]}
            value, _ = value_and_gradient(self._loss, state.params, moved)
            return state, value

    with pytest.raises(UserError, match="take"):
        pulled(Shifted("sgd"))


def test_nothing_of_the_chunks_is_kept(monkeypatch):
    """2,000 examples in chunks of 50: plain reverse mode keeps 2,000 x 20 numbers of a layer."""
    batch = regression(1, train=2000).train
    twice = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), batch)
    inputs = twice, INPUTS[1][:2]

    def temporary():
        run, (state, phi, _) = pull(Enclosing("sgd", width=20, chunk=50))
        return run.lower(state, phi, inputs).compile().memory_analysis().temp_size_in_bytes

    mine = temporary()
    assert mine < 2000 * 20 * 8
    monkeypatch.setattr(reverse, "while_pulling", nullcontext)
    assert temporary() > 2000 * 20 * 8


def test_value_and_gradient_are_those_of_jax():
    problem = Network("sgd")
    params = problem.init(jax.random.key(1))[0].params
    batch = jax.tree.map(jnp.asarray, SPLITS.train)
    expected = jax.value_and_grad(problem._loss)(params, batch)
    for context in (nullcontext, while_pulling):
        with context():
            found = value_and_gradient(problem._loss, params, batch, chunk=7)
        assert relative(found, expected) < 1e-13
