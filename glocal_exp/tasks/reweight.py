"""Learning how much each training example counts, from its loss (section 4.2)."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classifier, class_accuracy
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState


class Reweight(InnerProblem):
    """phi is the weight network mu; the inner loss is the mean of L_i mu(L_i) over the batch.

    L_i is the cross entropy of example i; the meta loss is the plain mean of them.

    Attributes:
        classifier: the network and its loss.
        weight: maps a key to mu, a module that maps losses (n,) to weights (n,).
        rule: the inner optimizer, whole: nothing of it is learned.
        detach_weights: whether the weights count as constants when the inner loss is
            differentiated by the network's parameters.
        shown_losses: records show the weights of these losses.
    """

    classifier: Classifier
    weight: Callable[[PRNGKeyArray], PyTree] = eqx.field(static=True)
    rule: Callable[[], optax.GradientTransformation] = eqx.field(static=True)
    detach_weights: bool = eqx.field(static=True)
    shown_losses: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        classifier: Classifier,
        weight: Callable[[PRNGKeyArray], PyTree],
        rule: Callable[[], optax.GradientTransformation],
        detach_weights: bool = False,
        shown_losses: Sequence[float] = (),
    ):
        self.classifier = classifier
        self.weight = weight
        self.rule = rule
        self.detach_weights = detach_weights
        self.shown_losses = tuple(shown_losses)
        try:
            rule()
        except TypeError as error:
            raise UserError(f"The optimizer rule does not fit task.rule: {error}.") from error

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        # The network's start is that of the other tasks with the same seed.
        params, phi = self.classifier.init(key), self.weight(jax.random.fold_in(key, 1))
        return InnerState(params, self.rule().init(params), jnp.zeros((), int)), phi

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> tuple[InnerState, Float[Array, ""]]:
        def weighted(params: PyTree, batch: Batch) -> Float[Array, ""]:
            losses = self.classifier.losses(params, batch)
            seen = jax.lax.stop_gradient(losses) if self.detach_weights else losses
            return jnp.mean(losses * phi(seen))

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
        """The weights of `shown_losses`."""
        shown = jnp.asarray(self.shown_losses, jnp.result_type(float))
        weights = phi(shown)
        return {f"weight_at_{loss:g}": weights[i] for i, loss in enumerate(self.shown_losses)}

    def signals(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Float[Array, " n"]:
        """The losses: phi enters a step through the weights of their gradients alone."""
        return self.classifier.losses(state.params, self.classifier.augmented(batch, key))

    def tangent_rows(
        self, phi: Hyperparams, signals: Float[Array, " n"]
    ) -> PyTree[Float[Array, "n ..."]]:
        """d/dphi of the factor of each loss's gradient: (L mu(L))', or mu(L) where detached.

        Times 1 - exp(-L), which bounds the gradient of cross entropy by the logits up to sqrt(2):
        what is learned already hardly counts.
        """

        def factor(phi: Hyperparams, loss: Float[Array, ""]) -> Float[Array, ""]:
            def weight(loss: Float[Array, ""]) -> Float[Array, ""]:
                return phi(loss[None])[0]

            if self.detach_weights:
                return weight(loss)
            return jax.grad(lambda loss: loss * weight(loss))(loss)

        def row(loss: Float[Array, ""]) -> PyTree:
            size = -jnp.expm1(-jnp.maximum(loss, 0.0))
            return jax.tree.map(lambda leaf: size * leaf, jax.grad(factor)(phi, loss))

        return jax.vmap(row)(signals)
