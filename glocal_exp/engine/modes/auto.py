"""The cheapest mode that a method and a task allow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax

from glocal_exp.engine.modes.copies import Copies
from glocal_exp.engine.modes.distilled import Distilled
from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.modes.implicit import Implicit
from glocal_exp.engine.modes.low_rank import LowRank
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.modes.reverse import Reverse
from glocal_exp.engine.plan import Choice, Plan, Problem


@dataclass(frozen=True)
class Auto(Choice):
    """Chooses by the number of hyperparameters, from where on a platform finds which cheaper.

    Attributes:
        forward, reverse, low_rank, copies: the modes that it chooses from.
        reverse_from: by platform, `cpu` or `gpu`, hyperparameters from which on reverse mode is
            taken where it serves: a step with q tangents costs 1 + 2.1 q plain steps, a swept one
            3.3 (LeNet on one core, `results/benchmarks/LOG.md`).
        low_rank_from: likewise few tangents: even a small basis costs a dozen with its probes, and
            a first pass.
    """

    forward: Forward = field(default_factory=Forward)
    reverse: Reverse = field(default_factory=Reverse)
    low_rank: LowRank = field(default_factory=LowRank)
    copies: Copies = field(default_factory=Copies)
    reverse_from: Mapping[str, int] = field(default_factory=lambda: {"cpu": 2, "gpu": 2})
    low_rank_from: Mapping[str, int] = field(default_factory=lambda: {"cpu": 32, "gpu": 32})

    name = "auto"

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> None:
        """None: one of them serves what is wanted, or says itself why it cannot."""

    def resolve(self, plan: Plan, problem: Problem) -> Mode:
        if plan.wanted.copies:
            return self.copies.resolve(plan, problem)
        if plan.wanted.implicit:
            return Implicit().resolve(plan, problem)
        if plan.wanted.distilled:
            return Distilled().resolve(plan, problem)
        platform = {"cpu": "cpu"}.get(jax.default_backend(), "gpu")
        cheaper = ((self.reverse, self.reverse_from), (self.low_rank, self.low_rank_from))
        for mode, least in cheaper:
            if problem.q >= least[platform] and mode.obstacle(plan, problem) is None:
                return mode
        return self.forward.resolve(plan, problem)
