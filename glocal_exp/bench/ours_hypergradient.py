"""Hypergradients of a stretch of training: by either mode compiled, and as the paper words it."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, PyTree

from glocal_exp.bench.comparison import Outcome
from glocal_exp.bench.ours import Program
from glocal_exp.bench.work import Work
from glocal_exp.hypergrad import (
    contract,
    count,
    push_tangents,
    train_and_pull_back,
    zero_tangents,
)
from glocal_exp.tasks.optimizer_hpo import OptimizerHPO
from glocal_exp.types import Batch, InnerProblem, InnerState


class OurHypergradients:
    """h at the end of all steps, or after every one; compiled when first asked for."""

    def __init__(self, work: Work, block: int | None = None):
        self._work, self._block = work, block
        self._problem: InnerProblem = work.experiment.problem
        self._numerics = work.experiment.numerics
        self._state, self._phi = work.start
        self._chunks = {
            "chunk": self._numerics.validation_chunk,
            "chunks_at_once": self._numerics.chunks_at_once,
        }

    @cached_property
    def forward(self) -> Callable[[], Array]:
        """The last h by tangents."""
        return self._compiled(lambda *given: self._push(*given, every=False)[-1])

    @cached_property
    def every(self) -> Callable[[], Array]:
        """h after every step by tangents, (steps, q)."""
        return self._compiled(lambda *given: self._push(*given, every=True))

    @cached_property
    def reverse(self) -> Callable[[], Array]:
        """The last h by a sweep back."""
        return self._compiled(self._pull)

    def _compiled(self, function: Callable) -> Callable[[], Any]:
        work = self._work
        return Program(function, self._state, self._phi, work.train, work.validation)

    def _pull(self, state: InnerState, phi: PyTree, train: Batch, validation: Batch) -> Array:
        def step(state: InnerState, phi: PyTree, batch: Batch) -> tuple:
            return self._problem.step(state, phi, batch, jax.random.key(0))

        return train_and_pull_back(
            self._problem, step, state, phi, train, validation, block=self._block, **self._chunks
        )[2]

    def _push(
        self, state: InnerState, phi: PyTree, train: Batch, validation: Batch, every: bool
    ) -> Array:
        def hypergradient(state: InnerState, tangents: PyTree) -> Array:
            return contract(self._problem, state, phi, tangents, validation, **self._chunks)

        def body(carry: tuple, batch: Batch) -> tuple:
            def step(state: InnerState, phi: PyTree) -> tuple:
                return self._problem.step(state, phi, batch, jax.random.key(0))

            state, tangents, _ = push_tangents(step, carry[0], phi, carry[1])
            return (state, tangents), hypergradient(state, tangents) if every else None

        carry, h = jax.lax.scan(body, (state, zero_tangents(state, count(phi))), train)
        return h if every else hypergradient(*carry)[None]


class PaperLoop:
    """Algorithm 1 as it is written: a Python loop of jitted steps, h_t after each.

    One batch and all validation images at a time, and the platform's own convolutions, which are
    fast outside of compiled loops.
    """

    def __init__(self, work: Work):
        problem = _unpieced(work.experiment.problem)
        work = replace(work, experiment=replace(work.experiment, problem=problem))
        self._state, self._phi = work.start
        self._batches = [jax.tree.map(lambda x: x[t], work.train) for t in range(len(work.x))]  # noqa: B023
        self._validation = work.validation

        @jax.jit
        def step(state: InnerState, tangents: PyTree, phi: PyTree, batch: Batch) -> tuple:
            def once(state: InnerState, phi: PyTree) -> tuple:
                return problem.step(state, phi, batch, jax.random.key(0))

            return push_tangents(once, state, phi, tangents)[:2]

        @jax.jit
        def hypergradient(state: InnerState, tangents: PyTree, phi: PyTree, batch: Batch) -> Array:
            return contract(problem, state, phi, tangents, batch)

        self._step, self._hypergradient = step, hypergradient

    def every(self) -> np.ndarray:
        """h after every step, (steps, q)."""
        state, tangents = self._state, zero_tangents(self._state, count(self._phi))
        found = []
        for batch in self._batches:
            state, tangents = self._step(state, tangents, self._phi, batch)
            found.append(self._hypergradient(state, tangents, self._phi, self._validation))
        return np.stack(jax.block_until_ready(found))


def outcome(h: Any) -> Outcome:
    """A hypergradient as a result to be compared."""
    return {"all hypergradients": np.asarray(h)}


def _unpieced(problem: OptimizerHPO) -> OptimizerHPO:
    network = partial(problem.classifier.network, convolution="lax")
    classifier = replace(problem.classifier, network=network, microbatch=None, at_once=1)
    return eqx.tree_at(lambda p: p.classifier, problem, classifier, is_leaf=lambda x: x is None)
