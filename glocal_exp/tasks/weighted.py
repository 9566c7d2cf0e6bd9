"""Training with weighted examples: what learned and fixed weights share."""

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
    """An optimizer of which nothing is learned; the meta loss is the plain mean cross entropy.

    Attributes:
        classifier: the network and its loss.
        rule: the inner optimizer, whole.
    """

    classifier: Classifier
    rule: Rule = eqx.field(static=True)

    def start(self, key: PRNGKeyArray) -> InnerState:
        """The state before training: the network's start is that of the other tasks."""
        params = self.classifier.init(key)
        return InnerState(params, self.rule().init(params), jnp.zeros((), int))

    def train(
        self,
        state: InnerState,
        batch: Batch,
        key: PRNGKeyArray,
        weigh: Callable[[Float[Array, " n"], Batch], Float[Array, " n"]],
    ) -> tuple[InnerState, Float[Array, ""]]:
        """A step along the mean of the losses times what `weigh` makes of them and the batch."""

        def weighted(params: PyTree, batch: Batch) -> Float[Array, ""]:
            losses = self.classifier.losses(params, batch)
            return jnp.mean(losses * weigh(losses, batch))

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
