"""The parts of one interval on LeNet, as the engine's compiled loops do them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt8

from glocal_exp.app.build import Experiment, build
from glocal_exp.app.compose import jobs
from glocal_exp.hypergrad import count, push_tangents, zero_tangents
from glocal_exp.hypergrad.forward import mean_over_chunks
from glocal_exp.types import Batch, InnerState

RATE = 0.01
"""Step down the validation gradient from one to the next, so that no two are the same."""
Outcome = dict[str, np.ndarray]
"""Results by name, to be compared: `losses`, `weight`, `momentum`, ... of each parameter."""


@dataclass(frozen=True, eq=False)
class Work:
    """Images and settings that every candidate gets; those of a run on a CPU.

    Attributes:
        experiment: problem and sizes, built from the configs.
        x: the training batches of all steps.
        validation_x: the images of a validation gradient.
        gradients: validation gradients to a call.
    """

    experiment: Experiment
    x: UInt8[np.ndarray, "steps batch height width channels"]
    y: Int[np.ndarray, "steps batch"]
    validation_x: UInt8[np.ndarray, "n height width channels"]
    validation_y: Int[np.ndarray, " n"]
    gradients: int

    @cached_property
    def start(self) -> tuple[InnerState, dict[str, Array]]:
        """The state before training, and the unconstrained hyperparameters by name."""
        state, phi = self.experiment.problem.init(jax.random.key(1))
        # A dtype that yields to no other, as after the first step.
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), (state, phi))


def make_work(*overrides: str, steps: int = 10, validation: int = 6000, gradients: int = 2) -> Work:
    """LeNet with learnable SGD on the embedded Fashion-MNIST, `overrides` as a run takes them.

    The batches and the validation images are drawn from the same training images.
    """
    job = jobs(["source=bundled", "device=cpu", "tracker=none", *overrides], sweep=False)[0]
    experiment = build(job.config, job.choices)
    data, batch = experiment.data, job.config.batch_size
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    images, labels = data.train_images[order], data.train_labels[order]
    shape = (steps, batch, *images.shape[1:])
    return Work(
        experiment,
        images[: steps * batch].reshape(shape),
        labels[: steps * batch].reshape(shape[:2]),
        images[:validation],
        labels[:validation],
        gradients,
    )


class Ours:
    """Compiled loops; a call runs one to its end.

    What a loop computes it returns: XLA drops what is not.
    """

    def __init__(self, work: Work):
        self._problem = work.experiment.problem
        self._numerics = work.experiment.numerics
        self._gradients = work.gradients
        state, self._phi = work.start
        train = {"x": jnp.asarray(work.x), "y": jnp.asarray(work.y)}
        validation = {"x": jnp.asarray(work.validation_x), "y": jnp.asarray(work.validation_y)}
        tangents = zero_tangents(state, count(self._phi))
        self.plain = _compiled(self._plain_steps, state, train)
        self.tangent = _compiled(self._tangent_steps, (state, tangents), train)
        self.validation_gradient = _compiled(self._validation_gradients, state, validation)

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

        return jax.lax.scan(body, state.params, length=self._gradients)[1]


def by_parameter(kind: str, tree: PyTree) -> Outcome:
    """The arrays of a tree with the network's leaves, by name (`conv1.weight gradients`)."""
    layers = ("conv1", "conv2", "linear1", "linear2")
    names = [f"{layer}.{part} {kind}" for layer in layers for part in ("weight", "bias")]
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return dict(zip(names, leaves, strict=True))


def _named(state: InnerState, suffix: str = "") -> Outcome:
    """The inexact part of SGD's state is the momentum, a tree like the parameters."""
    values = by_parameter(f"value{suffix}", state.params)
    return values | by_parameter(f"momentum{suffix}", state.opt_state)


def _compiled(function: Callable, *arguments: Any) -> Callable[[], Any]:
    program = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(program(*arguments))
