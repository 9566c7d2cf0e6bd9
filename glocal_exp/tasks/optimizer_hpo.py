"""Learning an optimizer's own hyperparameters while it trains (section 4.1)."""

from collections.abc import Callable, Mapping
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classification, Classifier
from glocal_exp.tasks.rules import averaging, sgd
from glocal_exp.tasks.transforms import TRANSFORMS, start
from glocal_exp.types import Batch, Hyperparams, InnerState, Named, Scalar


class OptimizerHPO(Classification):
    """phi holds the hyperparameters of an optax rule; the inner loss is cross entropy."""

    # any optax rule that takes its hyperparameters by name and lets gradients through
    rule: Callable[..., optax.GradientTransformation] = eqx.field(static=True)
    # unconstrained starting values by name, in the rule's order
    phi0: tuple[tuple[str, float], ...] = eqx.field(static=True)
    # by name, the map to natural units
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
            UserError: for a start out of range, a transform that is unknown or of what is not
                learned, or a hyperparameter that the rule does not take.
        """
        by_name = {} if isinstance(transform, str) else transform
        if unknown := by_name.keys() - init.keys():
            raise UserError(
                f"task.transform names {', '.join(sorted(unknown))}; choose from {', '.join(init)}."
            )
        names = {
            name: transform if isinstance(transform, str) else by_name.get(name, "sigmoid")
            for name in init
        }
        self.classifier, self.rule = classifier, rule
        self.transforms = tuple(names.items())
        self.phi0 = tuple((name, start(name, value, names[name])) for name, value in init.items())
        try:
            rule(**dict(init))
        except TypeError as error:
            raise UserError(f"The optimizer rule does not fit task.init: {error}.") from error

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        phi = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in self.phi0}
        return self.start(key, phi), phi

    def optimizer(self, phi: Hyperparams) -> optax.GradientTransformation:
        return self.rule(**self.describe(phi))

    def inner_loss(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Scalar:
        """Cross entropy, and the penalty whose gradient `rules.sgd` adds."""
        loss = super().inner_loss(state, phi, batch, key)
        rule, bound = self.rule, {}
        while isinstance(rule, partial):
            bound = {**rule.keywords, **bound}
            rule = bound.pop("rule") if rule.func is averaging else rule.func
        if rule is not sgd:
            return loss
        decay = {**bound, **self.describe(phi)}.get("weight_decay", 0)
        squares = [jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(state.params)]
        return loss + 0.5 * decay * sum(squares, jnp.zeros(()))

    def describe(self, phi: Hyperparams) -> Named:
        return {name: TRANSFORMS[rule].forward(phi[name]) for name, rule in self.transforms}
