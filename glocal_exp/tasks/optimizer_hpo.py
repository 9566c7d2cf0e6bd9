"""Learning an optimizer's own hyperparameters while it trains (section 4.1)."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.transforms import TRANSFORMS, start
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState


class OptimizerHPO(InnerProblem):
    """phi holds the hyperparameters of an optax rule; the inner loss is cross entropy.

    Attributes:
        classifier: the network and its loss.
        rule: any optax rule that takes its hyperparameters by name and lets gradients through.
        phi0: unconstrained starting values by name, in the rule's order.
        transforms: by name, the map to natural units.
    """

    classifier: Classifier
    rule: Callable[..., optax.GradientTransformation] = eqx.field(static=True)
    phi0: tuple[tuple[str, float], ...] = eqx.field(static=True)
    transforms: tuple[tuple[str, str], ...] = eqx.field(static=True)

    def __init__(
        self,
        classifier: Classifier,
        rule: Callable[..., optax.GradientTransformation],
        init: Mapping[str, float],
        transform: str | Mapping[str, str] = "sigmoid",
    ):
        """Bind the rule and check the start.

        Args:
            classifier: the network and its loss.
            rule: the optax rule; what is not learned is bound already (`functools.partial`).
            init: starting values in natural units, by name; its keys are what is learned.
            transform: one name for all, or by hyperparameter.

        Raises:
            UserError: for a start out of range, a transform that is unknown, or a hyperparameter
                that the rule does not take.
        """
        names = {
            name: transform if isinstance(transform, str) else transform.get(name, "sigmoid")
            for name in init
        }
        self.classifier = classifier
        self.rule = rule
        self.transforms = tuple(names.items())
        self.phi0 = tuple((name, start(name, value, names[name])) for name, value in init.items())
        try:
            rule(**dict(init))
        except TypeError as error:
            raise UserError(f"The optimizer rule does not fit task.init: {error}.") from error

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        params = self.classifier.init(key)
        phi = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in self.phi0}
        opt_state = self._optimizer(phi).init(params)
        return InnerState(params, opt_state, jnp.zeros((), int)), phi

    def step(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> tuple[InnerState, Float[Array, ""]]:
        batch = self.classifier.augmented(batch, key)
        loss, gradient = self.classifier.loss_and_gradient(self._loss, state.params, batch)
        updates, opt_state = self._optimizer(phi).update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return InnerState(params, opt_state, state.step + 1), loss

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return self._loss(state.params, batch)

    def metrics(self, state: InnerState, batch: Batch) -> dict[str, Float[Array, ""]]:
        metrics = self.classifier.metrics(state.params, batch)
        return metrics | {"meta_loss": metrics["loss"]}

    def describe(self, phi: Hyperparams) -> dict[str, Float[Array, ""]]:
        return {name: TRANSFORMS[rule].forward(phi[name]) for name, rule in self.transforms}

    def _loss(self, params: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return jnp.mean(self.classifier.losses(params, batch))

    def _optimizer(self, phi: Hyperparams) -> optax.GradientTransformation:
        return self.rule(**self.describe(phi))
