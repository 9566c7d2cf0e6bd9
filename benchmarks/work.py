"""The work that all candidates get: an interval's parts, ours and as peers do them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from benchmarks.experiments import Scale, experiment
from benchmarks.measure import Candidate, Comparison, Outcome
from glocal_exp import hypergrad
from glocal_exp.engine.compiled import Programs
from glocal_exp.hypergrad.forward import mean_over_chunks, with_params
from glocal_exp.tasks.optimizer_hpo import OptimizerHPO
from glocal_exp.tasks.rules import Number, sgd
from glocal_exp.types import Batch, Hyperparams, InnerState, Stepped, Tangents

START = {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 5e-4}  # configs/task/sgd.yaml
TENSORS = 8  # of LeNet: the weight and the bias of each layer
CHOICES = (1, 2, 3, TENSORS)
Carry = tuple[InnerState, Tangents]


class Given(NamedTuple):
    """What a part starts from, on the device; `train` has a leading axis of steps."""

    state: InnerState
    tangents: Tangents
    phi: Hyperparams
    train: Batch
    validation: Batch


@dataclass(frozen=True, eq=False)
class Work:
    """Images and settings that every candidate gets, and what the compiled loops do with them.

    A part returns what it computes, since XLA drops what is not returned.
    """

    problem: Any  # with a `classifier`
    train: Batch  # images and labels of all steps, leading axes (steps, batch)
    validation: Batch  # those of a validation gradient
    chunks: dict[str, Any]  # how many validation images ours takes at a time

    @cached_property
    def given(self) -> Given:
        """The state before training, with unconstrained hyperparameters by name, and the images."""
        state, phi = self.problem.init(jax.random.key(1))
        tangents = hypergrad.zero_tangents(state, hypergrad.count(phi))
        given = Given(state, tangents, phi, self.train, self.validation)
        # A dtype that yields to no other, as after the first step.
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), given)

    @cached_property
    def torch(self) -> Any:
        """The same in PyTorch, with its ways."""
        return import_module("benchmarks.torch_work").TorchWork(self)

    def tuning(self, q: int, *, whole: bool = False) -> "Work":
        """The same with q hyperparameters of SGD to learn.

        With `whole`, all images at a time, and convolutions that are fast outside compiled loops.
        """
        task, chunks = self.problem.classifier, self.chunks
        if whole:
            network = partial(task.network, convolution="lax")
            task, chunks = replace(task, network=network, microbatch=None, at_once=1), {}
        return replace(self, problem=OptimizerHPO(task, tuned_sgd, starts(q)), chunks=chunks)

    def cut(self, *, steps: int | None = None, validation: int | None = None) -> "Work":
        """The same with the first so many steps, or validation images, alone."""
        train = {name: part[:steps] for name, part in self.train.items()}
        images = {name: part[:validation] for name, part in self.validation.items()}
        return replace(self, train=train, validation=images)

    def ours(self, name: str, part: str, *, compared: bool = True) -> Candidate:
        """A part as a candidate: compiled by the first call, and run to its end by each."""
        programs = Programs()

        def run() -> Outcome:
            return programs.call(part, getattr(self, part), {0: (self.given,)})[0]

        def facts() -> dict[str, float]:
            """What XLA plans for arguments, results and what lies between them."""
            held = programs.memory().get(part)
            return {} if held is None else {"memory, GiB": held / 2**30}

        return Candidate(name, run, compared=compared, facts=facts)

    def peer(self, name: str, part: str, package: str = "torch", **settings: Any) -> Candidate:
        """A method of `torch` with its settings, which takes a package, as a candidate."""
        return Candidate(name, lambda: getattr(self.torch, part)(**settings), package)

    def compare(self, part: str, name: str, **peers: Mapping[str, Any]) -> Comparison:
        """A part by ours and, with their settings, by PyTorch's ways of the same name."""
        ways = [self.ours("ours", part)]
        ways += [self.peer(peer, part, **settings) for peer, settings in peers.items()]
        if part == "validation_gradient":
            return Comparison(name, ways, unit="gradient")
        return Comparison(name, ways, len(self.train["y"]))

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
        (chunk, at_once), state = self.chunks.values(), given.state

        def loss(params: PyTree, batch: Batch) -> Array:
            return self.problem.meta_loss(with_params(state, params), given.phi, batch)

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
        pull = partial(hypergrad.train_and_pull_back, self.problem, self.step)
        return {"h": pull(state, phi, *images, **self.chunks).h}

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Stepped:
        """One training step, and its loss."""
        return self.problem.step(state, phi, batch, jax.random.key(0))

    def push(self, given: Given, carry: Carry, batch: Batch) -> tuple[Carry, Array]:
        """One training step with tangents, and its loss."""
        state, tangents = carry
        step = partial(self.step, batch=batch)
        state, tangents, loss = hypergrad.push_tangents(step, state, given.phi, tangents)
        return (state, tangents), loss

    def contract(self, given: Given, state: InnerState, tangents: Tangents) -> Array:
        """h of a state."""
        images, chunks = given.validation, self.chunks
        found = hypergrad.contract(self.problem, state, given.phi, tangents, images, **chunks)
        return found.total

    def _train(self, given: Given) -> tuple[Carry, Array]:
        """State and tangents after all steps, and losses."""
        return jax.lax.scan(partial(self.push, given), given[:2], given.train)


def _leaves(state: InnerState, of: str = "") -> dict[str, list[Array]]:
    """The inexact part of SGD's state is the momentum, a tree like the parameters."""
    trees = {"weights": state.params, "momentum": state.opt_state}
    return {f"{kind}{of}": jax.tree.leaves(tree) for kind, tree in trees.items()}


def make_work(scale: Scale, *overrides: str, steps: int | None = None) -> Work:
    """LeNet with learnable SGD at a scale, or with so many steps.

    Batches and validation images are drawn from the same training images, and again if too few.
    """
    made = experiment(scale, *overrides)
    data, settings = made.data, made.device.settings
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    sizes = (steps or scale.steps, scale.batch), scale.validation
    chosen = [np.resize(order, size) for size in sizes]
    train, validation = ({"x": data.train_images[i], "y": data.train_labels[i]} for i in chosen)
    chunks = {"chunk": settings.validation_chunk, "chunks_at_once": settings.chunks_at_once}
    return Work(made.problem, train, validation, chunks)


def starts(q: int) -> dict[str, float]:
    """Where q hyperparameters of `CHOICES` start, in natural units.

    One is the learning rate, two and three add momentum and weight decay; with eight, each
    parameter tensor has a learning rate of its own: `rate0` is that of the tree's first leaf.
    """
    names = [f"rate{place}" for place in range(q)] if q == TENSORS else list(START)[:q]
    return {name: START.get(name, START["learning_rate"]) for name in names}


def tuned_sgd(**learned: Number) -> optax.GradientTransformation:
    """`sgd` from `START` but for what is learned; see `starts`."""
    rates = [rate for name, rate in learned.items() if name not in START]
    if not rates:
        return sgd(**START | learned)

    def scale(updates: PyTree, params: PyTree = None) -> PyTree:
        leaves, structure = jax.tree.flatten(updates)
        scaled = [rate * leaf for rate, leaf in zip(rates, leaves, strict=True)]
        return jax.tree.unflatten(structure, scaled)

    return optax.chain(sgd(**START | {"learning_rate": 1.0}), optax.stateless(scale))
