"""Training with weighted examples: what learned and fixed weights share."""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classifier, class_accuracy
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState

Rule = Callable[[], optax.GradientTransformation]


class Weighted(InnerProblem):
    """The inner loss is the mean over the batch of L_i times what `weigh` says of example i.

    L_i is the cross entropy of example i; the meta loss is the plain mean of them. Of the optimizer
    nothing is learned, and of the weights only what a subclass puts into phi.

    Attributes:
        classifier: the network and its loss.
        rule: the inner optimizer, whole.
    """

    classifier: Classifier
    rule: Rule = eqx.field(static=True)

    @abstractmethod
    def weigh(
        self, state: InnerState, phi: Hyperparams, losses: Float[Array, " n"], batch: Batch
    ) -> Float[Array, " n"]:
        """The examples' weights.

        Args:
            state: where the step starts; the step's own gradient takes it for a constant.
            losses: L_i, of the parameters that the gradient is taken by.
        """

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        """The network's start is that of the other tasks."""
        params = self.classifier.init(key)
        return InnerState(params, self.rule().init(params), jnp.zeros((), int)), {}

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> tuple[InnerState, Float[Array, ""]]:
        def weighted(params: PyTree, batch: Batch) -> Float[Array, ""]:
            losses = self.classifier.losses(params, batch)
            return jnp.mean(losses * self.weigh(state, phi, losses, batch))

        batch = self.classifier.augmented(batch, key)
        loss, gradient = self.classifier.loss_and_gradient(weighted, state.params, batch)
        updates, opt_state = self.rule().update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return InnerState(params, opt_state, state.step + 1), loss

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return jnp.mean(self.classifier.losses(state.params, batch))

    def metrics(self, state: InnerState, batch: Batch) -> dict[str, Float[Array, "..."]]:
        metrics = self.classifier.metrics(state.params, batch, by_class=True)
        return metrics | {"meta_loss": metrics["loss"]}

    def summarize(self, means: dict[str, Float[Array, "..."]]) -> dict[str, Float[Array, "..."]]:
        return class_accuracy(means)

    def describe(self, phi: Hyperparams) -> dict[str, Float[Array, ""]]:
        return {}


def whole(rule: Rule) -> Rule:
    """The rule, if it needs no more arguments.

    Raises:
        UserError: when it does.
    """
    try:
        rule()
    except TypeError as error:
        raise UserError(f"The optimizer rule does not fit task.rule: {error}.") from error
    return rule
