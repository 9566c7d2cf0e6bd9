"""Fixed weights for classes of different size: what learned weights have to beat."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classifier, class_accuracy
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState


class ClassBalanced(InnerProblem):
    """The inner loss is the mean of w_c L_i over the batch, c the class of example i.

    w_c is proportional to (1 - beta) / (1 - beta^n_c), the inverse effective number of the n_c
    training examples of the class, and the mean over the classes is 1 (Cui et al. 2019, Eq. 4).
    With beta = 0 all weigh the same: plain training. Nothing is learned: phi is empty.

    Attributes:
        classifier: the network and its loss.
        rule: the inner optimizer, whole.
        weights: w_c.
    """

    classifier: Classifier
    rule: Callable[[], optax.GradientTransformation] = eqx.field(static=True)
    weights: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        classifier: Classifier,
        rule: Callable[[], optax.GradientTransformation],
        beta: float,
        class_counts: Sequence[int],
    ):
        """Weigh the classes.

        Args:
            beta: from 0, all alike, to below 1, close to the inverse of the classes' sizes.
            class_counts: training examples of each class.

        Raises:
            UserError: for a beta out of range, or a rule that is not whole.
        """
        if not 0 <= beta < 1:
            raise UserError(f"task.beta={beta} is not from 0 to below 1.")
        weights = (1 - beta) / (1 - beta ** np.maximum(np.asarray(class_counts, np.float64), 1))
        self.weights = tuple(float(weight) for weight in weights / weights.mean())
        self.classifier, self.rule = classifier, rule
        try:
            rule()
        except TypeError as error:
            raise UserError(f"The optimizer rule does not fit task.rule: {error}.") from error

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        params = self.classifier.init(key)
        return InnerState(params, self.rule().init(params), jnp.zeros((), int)), {}

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> tuple[InnerState, Float[Array, ""]]:
        def weighted(params: PyTree, batch: Batch) -> Float[Array, ""]:
            losses = self.classifier.losses(params, batch)
            return jnp.mean(losses * jnp.asarray(self.weights, losses.dtype)[batch["y"]])

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
