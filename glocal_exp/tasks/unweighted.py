"""Plain training: what weights, learned or fixed, have to beat."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.weighted import Rule, Weighted, whole
from glocal_exp.types import Batch, Hyperparams, InnerState


class Unweighted(Weighted):
    """The inner loss is the plain mean of the losses. Nothing is learned: phi is empty."""

    def __init__(self, classifier: Classifier, rule: Rule):
        self.classifier, self.rule = classifier, whole(rule)

    def weigh(
        self, state: InnerState, phi: Hyperparams, losses: Float[Array, " n"], batch: Batch
    ) -> Float[Array, " n"]:
        return jnp.ones_like(losses)
