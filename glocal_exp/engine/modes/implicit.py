"""The implicit derivative at an interval's end: plain training, then a solve with the Hessian."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array

from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.plan import Plan, Problem
from glocal_exp.engine.work import Segment, Work
from glocal_exp.hypergrad.implicit import Neumann, Solver, implicit
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState


@dataclass(frozen=True)
class Implicit(Mode):
    """The inner loss is that of the interval's last batch.

    A product with its Hessian counts as a reverse step, which is a gradient and such a product.

    Attributes:
        solver: of the system with the Hessian.
    """

    solver: Solver = field(default_factory=Neumann)

    name = "implicit"
    counts = "reverse_steps"

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> str | None:
        wanted = plan.wanted
        if wanted and not wanted.implicit:
            return "unrolls nothing and this method asks for derivatives of training"
        if wanted.steps or wanted.training or wanted.mean or wanted.copies:
            return "gives one derivative an interval and this method looks at more"
        if plan.carries or plan.lookahead(1) > 0:
            return "looks at an interval's end alone"
        return None

    def costs(self, plan: Plan, length: int) -> Costs:
        return Costs(plain_steps=length, reverse_steps=self.solver.products)

    def lengths(self, plan: Plan) -> list[int]:
        return [plan.schedule.interval]

    def start(
        self, plan: Plan, state: InnerState, phi: Hyperparams, columns: int | None = None
    ) -> None:
        return None

    def train(self, work: Work) -> Callable[..., Segment]:
        problem = work.problem

        def train(state, phi, carry, key, indices, data, marks) -> Segment:
            def body(state: InnerState, chosen: Array) -> tuple[InnerState, Array]:
                return problem.step(state, phi, *work.batch(data, key, state.step, chosen))

            last = work.batch(data, key, state.step + len(indices) - 1, indices[-1])
            state, loss = jax.lax.scan(body, state, indices)
            validation = data.for_hypergradients
            h, _ = implicit(problem, self.solver, state, phi, *last, validation, **work.chunks)
            rows = jnp.zeros((len(indices), h.size), h.dtype).at[-1].set(h)
            return Segment(state, None, {"implicit": rows}, loss, work.finite(state))

        return train
