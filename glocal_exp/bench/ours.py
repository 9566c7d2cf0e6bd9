"""The parts of one interval as the engine's compiled loops do them."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from glocal_exp.bench.comparison import Outcome
from glocal_exp.bench.work import Work, by_parameter
from glocal_exp.hypergrad import count, push_tangents, zero_tangents
from glocal_exp.hypergrad.forward import mean_over_chunks
from glocal_exp.types import Batch, InnerState

RATE = 0.01
"""Step down the validation gradient from one to the next, so that no two are the same."""


class Program:
    """A compiled function with its arguments; a call runs it to its end."""

    def __init__(self, function: Callable, *arguments: Any):
        self._program = jax.jit(function).lower(*arguments).compile()
        self._arguments = arguments

    def __call__(self) -> Any:
        return jax.block_until_ready(self._program(*self._arguments))

    @property
    def memory(self) -> int:
        """Bytes that XLA plans for arguments, results and what lies between them."""
        plan = self._program.memory_analysis()
        assert plan is not None  # both platforms have one
        sizes = plan.argument_size_in_bytes, plan.output_size_in_bytes, plan.temp_size_in_bytes
        return sum(sizes)


class Ours:
    """Compiled loops; each is compiled when it is first asked for, and a call runs it to its end.

    What a loop computes it returns: XLA drops what is not.
    """

    def __init__(self, work: Work):
        self._work = work
        self._problem = work.experiment.problem
        self._numerics = work.experiment.numerics
        self._state, self._phi = work.start

    @cached_property
    def plain(self) -> Program:
        """All training steps."""
        return Program(self._plain_steps, self._state, self._work.train)

    @cached_property
    def tangent(self) -> Program:
        """All training steps, with the state's tangents."""
        tangents = zero_tangents(self._state, count(self._phi))
        return Program(self._tangent_steps, (self._state, tangents), self._work.train)

    @cached_property
    def validation_gradient(self) -> Program:
        """Gradients of the validation loss, at one point after the other."""
        return Program(self._validation_gradients, self._state, self._work.validation)

    def plain_outcome(self) -> Outcome:
        """Losses, weights and momentum."""
        state, losses = self.plain()
        return {"losses": np.asarray(losses)} | _named(state)

    def tangent_outcome(self) -> Outcome:
        """Losses, weights, momentum and their tangents, leading axis q."""
        (state, tangents), losses = self.tangent()
        return {"losses": np.asarray(losses)} | _named(state) | _named(tangents, " tangents")

    def validation_outcome(self) -> Outcome:
        """Gradients, leading axis of evaluations."""
        return by_parameter("gradients", self.validation_gradient())

    def _plain_steps(self, state: InnerState, train: Batch) -> tuple:
        def body(state: InnerState, batch: Batch) -> tuple:
            return self._problem.step(state, self._phi, batch, jax.random.key(0))

        return jax.lax.scan(body, state, train)

    def _tangent_steps(self, carry: tuple, train: Batch) -> tuple:
        def body(carry: tuple, batch: Batch) -> tuple:
            def step(state: InnerState, phi: PyTree) -> tuple:
                return self._problem.step(state, phi, batch, jax.random.key(0))

            state, tangents, loss = push_tangents(step, carry[0], self._phi, carry[1])
            return (state, tangents), loss

        return jax.lax.scan(body, carry, train)

    def _validation_gradients(self, state: InnerState, validation: Batch) -> PyTree:
        def loss(params: PyTree, batch: Batch) -> Array:
            return self._problem.meta_loss(
                InnerState(params, state.opt_state, state.step), self._phi, batch
            )

        def body(params: PyTree, _: None) -> tuple[PyTree, PyTree]:
            gradient = mean_over_chunks(
                lambda batch: jax.grad(loss)(params, batch),
                validation,
                self._numerics.validation_chunk,
                at_once=self._numerics.chunks_at_once,
            )
            return jax.tree.map(lambda p, g: p - RATE * g, params, gradient), gradient

        return jax.lax.scan(body, state.params, length=self._work.gradients)[1]


def _named(state: InnerState, suffix: str = "") -> dict[str, np.ndarray]:
    """The inexact part of SGD's state is the momentum, a tree like the parameters."""
    values = by_parameter(f"value{suffix}", state.params)
    momentum = jax.tree.leaves(jax.tree.map(jnp.asarray, state.opt_state))
    return values | by_parameter(f"momentum{suffix}", momentum)
