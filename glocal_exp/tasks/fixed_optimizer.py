"""Training with an optimizer of which nothing is learned: a schedule, or one without tuning."""

import equinox as eqx
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.errors import UserError
from glocal_exp.tasks.classification import Classification
from glocal_exp.tasks.weighted import Rule, whole
from glocal_exp.types import Batch, Hyperparams, InnerState, Named


class FixedOptimizer(Classification):
    """What a run with method=none trains: phi is empty."""

    rule: Rule = eqx.field(static=True, converter=whole)  # the optimizer, whole
    # whether it is a schedule-free one, whose average of iterates is what is evaluated (Defazio et
    # al. 2024), not the point that gradients are taken at
    averaged: bool = eqx.field(static=True, default=False)

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        return self.start(key, {}), {}

    def optimizer(self, phi: Hyperparams) -> optax.GradientTransformation:
        return self.rule()

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return self.classifier.losses(self._evaluated(state), batch).mean()

    def metrics(self, state: InnerState, batch: Batch) -> Named:
        metrics = self.classifier.metrics(self._evaluated(state), batch)
        return metrics | {"meta_loss": metrics["loss"]}

    def describe(self, phi: Hyperparams) -> Named:
        return {}

    def _evaluated(self, state: InnerState) -> PyTree:
        if not self.averaged:
            return state.params
        if not isinstance(state.opt_state, optax.contrib.ScheduleFreeState):
            raise UserError("task.averaged=true needs a schedule-free rule; leave it out.")
        return optax.contrib.schedule_free_eval_params(state.opt_state, state.params)
