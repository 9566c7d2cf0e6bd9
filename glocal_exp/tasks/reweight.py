"""Learning how much each training example counts, from its loss (section 4.2)."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.errors import UserError
from glocal_exp.tasks.weighted import Weighted
from glocal_exp.types import Batch, Hyperparams, InnerState, Named, Numbers, RowSpaceProblem, Scalar


def _numbers(values: Sequence[float]) -> tuple[float, ...]:  # what a config may give is annotated
    return tuple(values)


class Reweight(Weighted, RowSpaceProblem):
    """phi is the weight network mu; the inner loss is the mean of L_i mu(L_i) over the batch."""

    # maps a key to mu, a module that maps losses (n,) to weights (n,)
    weight: Callable[[PRNGKeyArray], PyTree] = eqx.field(static=True)
    # whether the weights count as constants when the inner loss is differentiated by the network's
    # parameters. A hypergradient sees that they depend on them all the same: what they are after t
    # steps is part of the training that it follows
    detach_weights: bool = eqx.field(static=True, default=False)
    # records show the weights of these losses
    shown_losses: tuple[float, ...] = eqx.field(static=True, converter=_numbers, default=())

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        state, _ = super().init(key)
        return state, self.weight(jax.random.fold_in(key, 1))

    def weigh(self, state: InnerState, phi: Hyperparams, losses: Numbers, batch: Batch) -> Numbers:
        # Detached: the same numbers, but not of the parameters that the gradient is taken by.
        seen = self.classifier.losses(state.params, batch) if self.detach_weights else losses
        return losses * phi(seen)

    def inner_loss(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Scalar:
        if self.detach_weights:
            raise UserError("With task.detach_weights=true a step lowers no loss; set it to false.")
        return super().inner_loss(state, phi, batch, key)

    def describe(self, phi: Hyperparams) -> Named:
        """The weights of `shown_losses`."""
        weights = phi(jnp.asarray(self.shown_losses, jnp.result_type(float)))
        return {f"weight_at_{loss:g}": weights[i] for i, loss in enumerate(self.shown_losses)}

    def signals(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Numbers:
        """The losses: phi enters a step through the weights of their gradients alone."""
        return self.classifier.losses(state.params, self.classifier.augmented(batch, key))

    def tangent_rows(self, phi: Hyperparams, signals: Numbers) -> PyTree[Float[Array, "n ..."]]:
        """d/dphi of the factor of each loss's gradient: (L mu(L))', or mu(L) where detached.

        Times 1 - exp(-L), which bounds the gradient of cross entropy by the logits up to sqrt(2):
        what is learned already hardly counts.
        """

        def factor(phi: Hyperparams, loss: Scalar) -> Scalar:
            def weight(loss: Scalar) -> Scalar:
                return phi(loss[None])[0]

            if self.detach_weights:
                return weight(loss)
            return jax.grad(lambda loss: loss * weight(loss))(loss)

        def row(loss: Scalar) -> PyTree:
            size = -jnp.expm1(-jnp.maximum(loss, 0.0))
            return jax.tree.map(lambda leaf: size * leaf, jax.grad(factor)(phi, loss))

        return jax.vmap(row)(signals)
