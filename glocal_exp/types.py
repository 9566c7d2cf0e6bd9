"""The nouns of the numerics: what an inner problem is and what passes between its parts.

A bilevel problem is written once, as an `InnerProblem`; hypergradients, methods and the engine only
ever call its functions. Nothing here knows images, networks or optimizers.
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

Batch = PyTree[Any]
"""Examples: any tree of arrays that share their leading axis."""

Hyperparams = PyTree[Float[Array, "..."]]
"""phi: unconstrained hyperparameters, q numbers in all."""

Scalar = Float[Array, ""]
Numbers = Float[Array, " n"]
"""A number for each of n examples."""

Named = dict[str, Float[Array, "..."]]

Tangents = PyTree[Any]
"""Z = d state / d phi: the state's tree, inexact leaves with a leading axis q, the rest None."""


class InnerState(eqx.Module):
    """x_t: everything that one training step maps, so that tangents cover all of it.

    Attributes:
        params: what is trained.
        opt_state: the inner optimizer's own state (momentum, Adam's moments and counts).
        step: t, training steps done.
    """

    params: PyTree[Any]
    opt_state: PyTree[Any]
    step: Int[Array, ""]


Stepped = tuple[InnerState, Scalar]
"""What a training step leaves: the next state and the training loss."""


class InnerProblem(eqx.Module):
    """Theta of Eq. 4 and the meta loss of Eq. 1."""

    @abstractmethod
    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        """The state before training and the starting hyperparameters."""

    @abstractmethod
    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> Stepped:
        """One differentiable training step.

        Pure: what is random (dropout, augmentation) comes from `key`, one per step and seed.
        """

    @abstractmethod
    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Scalar:
        """The validation loss, a mean over the examples of `batch`, so that chunks average.

        Its direct dependence on phi counts (the first term of Eq. 12's total derivative).
        """

    def inner_loss(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Scalar:
        """What a step lowers, by the state's parameters and phi; what it returns by default.

        Raises:
            UserError: when a step's direction is the gradient of no loss.
        """
        return self.step(state, phi, batch, key)[1]

    def metrics(self, state: InnerState, batch: Batch) -> Named:
        """Means over the examples of `batch`, by name (`loss`, `accuracy`); none by default.

        A problem whose meta loss is among them may return it as `meta_loss` too, to save its being
        evaluated again.
        """
        return {}

    def summarize(self, means: Named) -> Named:
        """What is recorded, from the means of `metrics` over all examples; they by default.

        Of a vector each entry is recorded, as `name/index`.
        """
        return means

    @abstractmethod
    def describe(self, phi: Hyperparams) -> Named:
        """phi by name in natural units."""


class RowSpaceProblem(InnerProblem):
    """A problem whose training sees phi through one number for each example.

    For few tangents with many hyperparameters: all that phi does to a step, and to the meta loss
    directly, is a sum over the examples of anything times the rows that `tangent_rows` has for
    these numbers.
    """

    @abstractmethod
    def signals(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Numbers:
        """What a step's dependence on phi goes through, one number for each of n examples."""

    @abstractmethod
    def tangent_rows(self, phi: Hyperparams, signals: Numbers) -> PyTree:
        """By signal, a direction in phi: phi's tree, leaves with a leading axis n.

        Their scale tells how much each can matter; their span is what counts.
        """
