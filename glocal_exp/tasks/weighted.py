"""Training with weighted examples: what learned and fixed weights share."""

from collections.abc import Callable

import equinox as eqx
import optax
from jaxtyping import PRNGKeyArray

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classification, class_accuracy
from glocal_exp.types import Batch, Hyperparams, InnerState, Named

Rule = Callable[[], optax.GradientTransformation]


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


class Weighted(Classification):
    """The inner loss is the mean over the batch of L_i times a weight of example i.

    L_i is the cross entropy of example i; the meta loss is the plain mean of them. Of the optimizer
    nothing is learned, and of the weights only what a subclass puts into phi.
    """

    rule: Rule = eqx.field(static=True, converter=whole)  # the inner optimizer, whole

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        return self.start(key, {}), {}

    def optimizer(self, phi: Hyperparams) -> optax.GradientTransformation:
        return self.rule()

    def metrics(self, state: InnerState, batch: Batch) -> Named:
        metrics = self.classifier.metrics(state.params, batch, by_class=True)
        return metrics | {"meta_loss": metrics["loss"]}

    def summarize(self, means: Named) -> Named:
        return class_accuracy(means)

    def describe(self, phi: Hyperparams) -> Named:
        return {}
