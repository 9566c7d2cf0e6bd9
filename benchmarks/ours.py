"""What the engine's compiled loops do in an interval, part by part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, PyTree

from benchmarks.comparison import Candidate, Comparison, Outcome
from benchmarks.work import Given, Work
from glocal_exp import hypergrad
from glocal_exp.engine.compiled import Programs
from glocal_exp.hypergrad.forward import mean_over_chunks, with_params
from glocal_exp.types import Batch, Hyperparams, InnerState, Stepped, Tangents

Carry = tuple[InnerState, Tangents]


@dataclass(frozen=True)
class Ours:
    """The parts of one work; what they compute they return, since XLA drops what is not."""

    work: Work

    def way(self, name: str, part: str, *, compared: bool = True) -> Candidate:
        """A part as a candidate: compiled by the first call, and run to its end by each."""
        programs = Programs()

        def run() -> Outcome:
            return programs.call(part, getattr(self, part), {0: (self.work.given,)})[0]

        def facts() -> dict[str, float]:
            """What XLA plans for arguments, results and what lies between them."""
            return {"memory, GiB": programs.memory()[part] / 2**30} if programs.traces else {}

        return Candidate(name, run, compared=compared, facts=facts)

    def plain(self, given: Given) -> Outcome:
        """All training steps: losses, weights and momentum."""

        def body(state: InnerState, batch: Batch) -> Stepped:
            return self.step(state, given.phi, batch)

        state, losses = jax.lax.scan(body, given.state, given.train)
        return {"losses": losses} | _leaves(state)

    def tangent(self, given: Given) -> Outcome:
        """The same, and tangents of weights and momentum, leading axis q."""
        (state, tangents), losses = self._train(given)
        return {"losses": losses} | _leaves(state) | _leaves(tangents, " tangents")

    def validation_gradient(self, given: Given) -> Outcome:
        """Of the validation loss at the start."""
        (chunk, at_once), state = self.work.chunks.values(), given.state

        def loss(params: PyTree, batch: Batch) -> Array:
            return self.work.problem.meta_loss(with_params(state, params), given.phi, batch)

        gradient = partial(jax.grad(loss), state.params)
        mean = mean_over_chunks(gradient, given.validation, chunk, at_once=at_once)
        return {"gradient": jax.tree.leaves(mean)}

    def forward(self, given: Given) -> Outcome:
        """The last h by tangents."""
        return {"h": self.contract(given, *self._train(given)[0])}

    def every(self, given: Given) -> Outcome:
        """h after each step by tangents, (steps, q)."""

        def body(carry: Carry, batch: Batch) -> tuple[Carry, Array]:
            carry, _ = self.push(given, carry, batch)
            return carry, self.contract(given, *carry)

        return {"h": jax.lax.scan(body, given[:2], given.train)[1]}

    def reverse(self, given: Given) -> Outcome:
        """The last h by a sweep back."""
        state, _, phi, *images = given
        pull = partial(hypergrad.train_and_pull_back, self.work.problem, self.step)
        return {"h": pull(state, phi, *images, **self.work.chunks).h}

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Stepped:
        """One training step, and its loss."""
        return self.work.problem.step(state, phi, batch, jax.random.key(0))

    def push(self, given: Given, carry: Carry, batch: Batch) -> tuple[Carry, Array]:
        """One training step with tangents, and its loss."""
        state, tangents = carry
        step = partial(self.step, batch=batch)
        state, tangents, loss = hypergrad.push_tangents(step, state, given.phi, tangents)
        return (state, tangents), loss

    def contract(self, given: Given, state: InnerState, tangents: Tangents) -> Array:
        """h of a state."""
        problem, chunks = self.work.problem, self.work.chunks
        validation = given.validation
        return hypergrad.contract(problem, state, given.phi, tangents, validation, **chunks).total

    def _train(self, given: Given) -> tuple[Carry, Array]:
        """State and tangents after all steps, and losses."""
        return jax.lax.scan(partial(self.push, given), given[:2], given.train)


def compare(
    work: Work, part: str, name: str, ours: str, peers: Mapping[str, Any] | None = None
) -> Comparison:
    """A part of the work by ours and, with their settings, by PyTorch's ways of the same name."""
    ways = [Ours(work).way(ours, part)]
    ways += [work.peer(peer, part, **settings) for peer, settings in (peers or {}).items()]
    if part == "validation_gradient":
        flops = work.flops(len(work.validation["y"]))
        return Comparison(name, ways, unit="gradient", flops=flops)
    steps, batch = work.train["y"].shape
    q = hypergrad.count(work.given.phi) if part == "tangent" else 0
    return Comparison(name, ways, steps, flops=work.flops(batch, q))


def paper_loop(work: Work) -> Callable[[], Outcome]:
    """Algorithm 1 as it is written: a Python loop of jitted steps, h_t after each, (steps, q)."""
    ours = Ours(work)
    push, contract = jax.jit(ours.push), jax.jit(ours.contract)

    def run() -> Outcome:
        given, found = work.given, []
        carry = given[:2]
        for t in range(len(work.train["y"])):
            carry, _ = push(given, carry, jax.tree.map(lambda part: part[t], given.train))  # noqa: B023
            found.append(contract(given, *carry))
        return {"h": jax.block_until_ready(found)}

    return run


def _leaves(state: InnerState, of: str = "") -> dict[str, list[Array]]:
    """The inexact part of SGD's state is the momentum, a tree like the parameters."""
    trees = {"weights": state.params, "momentum": state.opt_state}
    return {f"{kind}{of}": jax.tree.leaves(tree) for kind, tree in trees.items()}
