"""Plain training: what weights, learned or fixed, have to beat."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.weighted import Rule, Weighted, whole
from glocal_exp.types import Batch, Hyperparams, InnerState


class Unweighted(Weighted):
    """The inner loss is the plain mean of the losses. Nothing is learned: phi is empty."""

    def __init__(self, classifier: Classifier, rule: Rule):
        self.classifier, self.rule = classifier, whole(rule)

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        return self.start(key), {}

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> tuple[InnerState, Float[Array, ""]]:
        return self.train(state, batch, key, lambda losses, batch: jnp.ones_like(losses))

    def describe(self, phi: Hyperparams) -> dict[str, Float[Array, ""]]:
        return {}
