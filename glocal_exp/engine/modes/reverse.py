"""Reverse mode: one sweep back through an interval, whatever the number of hyperparameters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array

from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.settings import check_counts
from glocal_exp.engine.work import Segment, Work
from glocal_exp.hypergrad.reverse import block_for, train_and_pull_back
from glocal_exp.types import Hyperparams, InnerState


@dataclass(frozen=True)
class Reverse(Mode):
    """For methods that look at their interval's last h, at its window's mean, or at both.

    Attributes:
        block: steps between two states that are kept; if None, every step's is, or as few as
            possible where that were more than `hypergrad.reverse.KEPT_BYTES`.
    """

    block: int | None = None

    name = "reverse"
    counts = "reverse_steps"

    def __post_init__(self):
        check_counts(self, "block", group="hypergradient.")

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        wanted, interval = plan.wanted, plan.schedule.interval
        if plan.carry_tangents:
            return "has no tangents for carry_tangents=true to carry"
        if len(wanted.steps) > 1:
            number = len(wanted.steps)
            return f"computes one hypergradient an interval and this method looks at {number}"
        if wanted.steps not in ((), (interval - 1,)):
            t = wanted.steps[0] + 1
            return f"computes an interval's last hypergradient and this method looks at {t}"
        if wanted.training:
            return "differentiates the validation loss and this method looks at the training loss"
        if plan.plays_out:
            return "goes back through one interval and this method plays out more"
        return super().obstacle(plan, problem)

    def lengths(self, plan: Plan) -> list[int]:
        return [plan.schedule.interval]

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> None:
        return None

    def train(self, work: Work) -> Callable[..., Segment]:
        def train(state, phi, carry, key, indices, data, marks) -> Segment:
            def step(state: InnerState, phi: Hyperparams, chosen: Array) -> tuple:
                return work.problem.step(state, phi, *work.batch(data, key, state.step, chosen))

            pull = partial(train_and_pull_back, work.problem, step, state, phi, indices)
            pulled = pull(
                data.for_hypergradients,
                last=marks.steps is not None,
                weights=marks.weights,
                block=self.block or block_for(state, len(indices)),
                **work.chunks,
            )
            values = {} if pulled.h is None else {"h": pulled.h}
            if pulled.mean is not None:
                values |= {"mean": pulled.mean[0], "mean_direct": pulled.mean[1]}
            rows = {
                name: jnp.zeros((len(indices), h.size), h.dtype).at[-1].set(h)
                for name, h in values.items()
            }
            return Segment(pulled.state, None, rows, pulled.losses, work.finite(pulled.state))

        return train
