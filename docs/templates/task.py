"""A template: learn the smoothing of the labels (glocal_exp/tasks/<id>.py)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.tasks.classification import Classifier
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState


class LabelSmoothing(InnerProblem):
    """Gradient descent on smoothed labels; the meta loss is the plain cross entropy.

    Attributes:
        classifier: the network with the normalisation of its images; every task is given one.
        rate: of the descent.
        start: the first smoothing, from 0 to 1.
    """

    classifier: Classifier
    rate: float
    start: float

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        phi = {"smoothing": jnp.log(self.start) - jnp.log1p(-self.start)}
        return InnerState(self.classifier.init(key), (), jnp.zeros((), int)), phi

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> tuple[InnerState, Float[Array, ""]]:
        def smoothed(params: PyTree, batch: Batch) -> Float[Array, ""]:
            logs = jax.nn.log_softmax(self.classifier.logits(params, batch["x"]))
            wrong = jax.nn.sigmoid(phi["smoothing"])
            right = jnp.take_along_axis(logs, batch["y"][:, None], axis=1)[:, 0]
            return -jnp.mean((1 - wrong) * right + wrong * jnp.mean(logs, axis=1))

        loss, gradient = self.classifier.loss_and_gradient(smoothed, state.params, batch)
        params = jax.tree.map(lambda w, g: w - self.rate * g, state.params, gradient)
        return InnerState(params, (), state.step + 1), loss

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return jnp.mean(self.classifier.losses(state.params, batch))

    def metrics(self, state: InnerState, batch: Batch) -> dict[str, Float[Array, ""]]:
        return self.classifier.metrics(state.params, batch)

    def describe(self, phi: Hyperparams) -> dict[str, Float[Array, ""]]:
        """What records show: natural units."""
        return {"smoothing": jax.nn.sigmoid(phi["smoothing"])}
