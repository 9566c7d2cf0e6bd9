"""What the engine's compiled loops do in an interval, part by part."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from benchmarks.comparison import Candidate, Outcome
from benchmarks.work import Work
from glocal_exp import hypergrad
from glocal_exp.hypergrad.forward import mean_over_chunks
from glocal_exp.types import Batch, Hyperparams, InnerState, Tangents


class Given(NamedTuple):
    """What a part starts from; `train` has a leading axis of steps."""

    state: InnerState
    tangents: Tangents
    phi: Hyperparams
    train: Batch
    validation: Batch


class Ours:
    """The parts of one work; what they compute they return, since XLA drops what is not."""

    def __init__(self, work: Work):
        self._work, self._problem, self._chunks = work, work.problem, work.chunks

    @cached_property
    def given(self) -> Given:
        """The start, on the device."""
        state, phi = self._work.start
        tangents = hypergrad.zero_tangents(state, hypergrad.count(phi))
        images = jax.tree.map(jnp.asarray, (self._work.train, self._work.validation))
        return Given(state, tangents, phi, *images)

    def way(self, name: str, part: str, *, compared: bool = True) -> Candidate:
        """A part as a candidate: compiled by the first call, and run to its end by each."""
        programs = []

        def run() -> Outcome:
            if not programs:
                programs.append(jax.jit(getattr(self, part)).lower(self.given).compile())
            return jax.block_until_ready(programs[0](self.given))

        def facts() -> dict[str, float]:
            """What XLA plans for arguments, results and what lies between them."""
            plans, kinds = [p.memory_analysis() for p in programs], ("argument", "output", "temp")
            sizes = [getattr(plan, f"{kind}_size_in_bytes") for plan in plans for kind in kinds]
            return {"memory, GiB": sum(sizes) / 2**30} if sizes else {}

        return Candidate(name, run, compared=compared, facts=facts)

    def plain(self, given: Given) -> Outcome:
        """All training steps: losses, weights and momentum."""

        def body(state: InnerState, batch: Batch) -> tuple[InnerState, Array]:
            return self.step(state, given.phi, batch)

        state, losses = jax.lax.scan(body, given.state, given.train)
        return {"losses": losses} | _leaves(state)

    def tangent(self, given: Given) -> Outcome:
        """The same, and tangents of weights and momentum, leading axis q."""
        state, tangents, losses, _ = self._train(given)
        return {"losses": losses} | _leaves(state) | _leaves(tangents, " tangents")

    def validation_gradient(self, given: Given) -> Outcome:
        """Of the validation loss at the start."""
        (chunk, at_once), state = self._chunks.values(), given.state

        def loss(params: PyTree, batch: Batch) -> Array:
            moved = InnerState(params, state.opt_state, state.step)
            return self._problem.meta_loss(moved, given.phi, batch)

        gradient = partial(jax.grad(loss), state.params)
        mean = mean_over_chunks(gradient, given.validation, chunk, at_once=at_once)
        return {"gradient": jax.tree.leaves(mean)}

    def forward(self, given: Given) -> Outcome:
        """The last h by tangents."""
        state, tangents, *_ = self._train(given)
        return {"h": self.contract(given, state, tangents)}

    def every(self, given: Given) -> Outcome:
        """h after each step by tangents, (steps, q)."""
        return {"h": self._train(given, each=partial(self.contract, given))[3]}

    def reverse(self, given: Given) -> Outcome:
        """The last h by a sweep back."""
        state, _, phi, *images = given
        pull = partial(hypergrad.train_and_pull_back, self._problem, self.step, **self._chunks)
        return {"h": pull(state, phi, *images).h}

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch) -> tuple[InnerState, Array]:
        """One training step, and its loss."""
        return self._problem.step(state, phi, batch, jax.random.key(0))

    def push(self, state: InnerState, tangents: Tangents, phi: Hyperparams, batch: Batch) -> tuple:
        """One training step with tangents: state, tangents and loss."""
        return hypergrad.push_tangents(partial(self.step, batch=batch), state, phi, tangents)

    def contract(self, given: Given, state: InnerState, tangents: Tangents) -> Array:
        """h of a state."""
        phi, images = given.phi, given.validation
        return hypergrad.contract(self._problem, state, phi, tangents, images, **self._chunks)

    def _train(self, given: Given, each: Callable[..., Any] = lambda *_: None) -> tuple:
        """State and tangents after all steps, losses, and what `each` makes of every step's."""

        def body(carry: tuple[InnerState, Tangents], batch: Batch) -> tuple:
            state, tangents, loss = self.push(*carry, given.phi, batch)
            return (state, tangents), (loss, each(state, tangents))

        carry, made = jax.lax.scan(body, (given.state, given.tangents), given.train)
        return *carry, *made


def paper_loop(work: Work) -> Callable[[], Outcome]:
    """Algorithm 1 as it is written: a Python loop of jitted steps, h_t after each, (steps, q)."""
    ours = Ours(work)
    push, contract = jax.jit(ours.push), jax.jit(ours.contract)

    def run() -> Outcome:
        state, tangents, phi, train, _ = ours.given
        found = []
        for t in range(work.steps):
            batch = {name: part[t] for name, part in train.items()}
            state, tangents, _ = push(state, tangents, phi, batch)
            found.append(contract(ours.given, state, tangents))
        return {"h": jax.block_until_ready(found)}

    return run


def _leaves(state: InnerState, of: str = "") -> dict[str, list[Array]]:
    """The inexact part of SGD's state is the momentum, a tree like the parameters."""
    trees = {"weights": state.params, "momentum": state.opt_state}
    return {f"{kind}{of}": jax.tree.leaves(tree) for kind, tree in trees.items()}
