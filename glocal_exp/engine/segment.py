"""Compiled training: a stretch of steps, with or without tangents, as one call.

Every interval is cut into the same few segment lengths, so a run compiles once however long it is;
playing out to the end of training is the same compiled segment called again.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from glocal_exp.engine.examples import Data
from glocal_exp.engine.settings import Numerics
from glocal_exp.hypergrad.forward import contract, mean_over_chunks, push_tangents
from glocal_exp.hypergrad.lowrank import Basis, count_outside, signals
from glocal_exp.hypergrad.reverse import block_for, train_and_pull_back
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Tangents


class Stretch(NamedTuple):
    """What a segment leaves: the state, its tangents, and what happened on the way.

    Attributes:
        hypergradients: zero where not recorded; along a basis, what its columns make of them.
        losses: training loss of each step.
        finite: whether the parameters still are.
        outside: numbers that the basis was not made for, if there is one.
    """

    state: InnerState
    tangents: Tangents
    hypergradients: Float[Array, "steps columns"]
    losses: Float[Array, " steps"]
    finite: Bool[Array, ""]
    outside: Int[Array, ""] | None = None


class Programs:
    """The compiled functions of one problem, for one seed or for several side by side.

    With several seeds (`batched`) every array has a leading axis of seeds, and the same code is
    vectorised.

    Attributes:
        compile_seconds: time spent compiling so far.
        traces: functions traced so far.
    """

    def __init__(self, problem: InnerProblem, numerics: Numerics):
        self._problem = problem
        self._numerics = numerics
        self._compiled: dict[tuple, jax.stages.Compiled] = {}
        self.compile_seconds = 0.0
        self.traces = 0

    def train(
        self,
        state: InnerState,
        phi: Hyperparams,
        tangents: Tangents | None,
        data: Data,
        key: PRNGKeyArray,
        indices: Int[Array, "steps batch"],
        record: Bool[Array, " steps"],
        *,
        basis: Basis | None = None,
        batched: bool,
    ) -> Stretch:
        """Train along `indices`, evaluating the hypergradient where `record` says so.

        Without tangents (None) it is plain training and `record` is ignored. With a basis the
        tangents are along its columns.
        """
        arguments = (state, phi, tangents, basis, data, key, indices)
        return self.call("train", self._train, arguments, (record,), batched)

    def pull(
        self,
        state: InnerState,
        phi: Hyperparams,
        data: Data,
        key: PRNGKeyArray,
        indices: Int[Array, "steps batch"],
        *,
        batched: bool,
    ) -> Stretch:
        """Train along `indices`; the last hypergradient by a sweep back to the first step."""
        return self.call("pull", self._pull, (state, phi, data, key, indices), (), batched)

    def evaluate(
        self, state: InnerState, phi: Hyperparams, batch: Batch, *, batched: bool
    ) -> dict[str, Float[Array, "..."]]:
        """The problem's metrics, and its meta loss as `meta_loss`, as means over `batch`."""
        return self.call("evaluate", self._evaluate, (state, phi, batch), (), batched)

    def memory(self) -> dict[str, int]:
        """Bytes of each function compiled so far, of its largest call, by name.

        Arguments, results and scratch space, as the compiler states them, if it does.
        """
        sizes: dict[str, int] = {}
        for (name, *_), compiled in self._compiled.items():
            stated = compiled.memory_analysis()
            if stated is None:  # not every platform says
                continue
            held = stated.argument_size_in_bytes + stated.output_size_in_bytes
            total = held + stated.temp_size_in_bytes - stated.alias_size_in_bytes
            sizes[name] = max(total, sizes.get(name, 0))
        return sizes

    def _train(self, state, phi, tangents, basis, data, key, indices, record) -> Stretch:
        numerics, problem = self._numerics, self._problem
        directions = None if basis is None else basis.directions

        def hypergradient(state: InnerState, tangents: Tangents) -> Array:
            return contract(
                problem,
                state,
                phi,
                tangents,
                data.for_hypergradients,
                directions=directions,
                chunk=numerics.validation_chunk,
                chunks_at_once=numerics.chunks_at_once,
            )

        def body(carry: tuple, inputs: tuple) -> tuple:
            state, tangents, outside = carry
            chosen, wanted = inputs
            batch, step_key = given(data, key, state, chosen)

            def step(state: InnerState, phi: Hyperparams) -> tuple[InnerState, Array]:
                return problem.step(state, phi, batch, step_key)

            if tangents is None:
                state, loss = step(state, phi)
                return (state, None, outside), (jnp.zeros((0,)), loss)
            if basis is not None:
                outside += count_outside(basis, signals(problem, state, phi, batch, step_key))
            state, tangents, loss = push_tangents(
                step, state, phi, tangents, directions=directions, chunk=numerics.tangent_chunk
            )
            like = jax.eval_shape(hypergradient, state, tangents)
            h = jax.lax.cond(
                wanted,
                hypergradient,
                lambda *_: jnp.zeros(like.shape, like.dtype),
                state,
                tangents,
            )
            return (state, tangents, outside), (h, loss)

        outside = None if basis is None else jnp.zeros_like(basis.outside)
        carry, (h, losses) = jax.lax.scan(body, (state, tangents, outside), (indices, record))
        state, tangents, outside = carry
        return Stretch(state, tangents, h, losses, _finite(state), outside)

    def _pull(self, state, phi, data, key, indices) -> Stretch:
        numerics, problem = self._numerics, self._problem

        def step(state: InnerState, phi: Hyperparams, chosen: Array) -> tuple[InnerState, Array]:
            batch, step_key = given(data, key, state, chosen)
            return problem.step(state, phi, batch, step_key)

        state, losses, h = train_and_pull_back(
            problem,
            step,
            state,
            phi,
            indices,
            data.for_hypergradients,
            block=numerics.block or block_for(state, indices.shape[0]),
            chunk=numerics.validation_chunk,
            chunks_at_once=numerics.chunks_at_once,
        )
        rows = jnp.zeros((indices.shape[0], h.size), h.dtype).at[-1].set(h)
        return Stretch(state, None, rows, losses, _finite(state))

    def _evaluate(self, state, phi, batch) -> dict[str, Array]:
        def metrics(piece: Batch) -> dict[str, Array]:
            named = self._problem.metrics(state, piece)
            if "meta_loss" not in named:
                named |= {"meta_loss": self._problem.meta_loss(state, phi, piece)}
            return named

        chunk, at_once = self._numerics.evaluation_chunk, self._numerics.chunks_at_once
        means = mean_over_chunks(metrics, batch, chunk, at_once=at_once)
        meta_loss = means.pop("meta_loss")
        return self._problem.summarize(means) | {"meta_loss": meta_loss}

    def call(
        self, name: str, function: Callable, arguments: tuple, shared: tuple, batched: bool
    ) -> Any:
        """Compile ahead of time, once for each signature, and call."""
        arrays = (*arguments, *shared)
        leaves, structure = jax.tree.flatten(arrays)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        signature = (name, batched, structure, shapes)
        if signature not in self._compiled:
            start = time.perf_counter()
            if batched:
                axes = (0,) * len(arguments) + (None,) * len(shared)
                function = jax.vmap(function, in_axes=axes)
            self._compiled[signature] = jax.jit(function).lower(*arrays).compile()
            self.compile_seconds += time.perf_counter() - start
            self.traces += 1
        return self._compiled[signature](*arrays)


def given(
    data: Data, key: PRNGKeyArray, state: InnerState, chosen: Int[Array, " batch"]
) -> tuple[Batch, PRNGKeyArray]:
    """The batch and the key of a step."""
    batch = jax.tree.map(lambda leaf: leaf[chosen], data.train)
    return batch, jax.random.fold_in(key, state.step)


def _finite(state: InnerState) -> Bool[Array, ""]:
    leaves = jax.tree.leaves(eqx.filter(state.params, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]))
