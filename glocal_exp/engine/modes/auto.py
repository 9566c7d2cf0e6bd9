"""The cheapest mode that a method and a task allow."""

from dataclasses import dataclass, field

from glocal_exp.engine.modes.copies import Copies
from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.modes.low_rank import LowRank
from glocal_exp.engine.modes.mode import Mode
from glocal_exp.engine.modes.reverse import Reverse
from glocal_exp.engine.plan import Choice, Plan, Problem


@dataclass(frozen=True)
class Auto(Choice):
    """Chooses by the number of hyperparameters, from where on the platform finds which cheaper.

    Attributes:
        forward, reverse, low_rank, copies: the modes that it chooses from.
    """

    forward: Forward = field(default_factory=Forward)
    reverse: Reverse = field(default_factory=Reverse)
    low_rank: LowRank = field(default_factory=LowRank)
    copies: Copies = field(default_factory=Copies)

    name = "auto"

    def obstacle(self, plan: Plan, problem: Problem | None = None) -> None:
        """None: one of them serves what is wanted, or says itself why it cannot."""

    def resolve(self, plan: Plan, problem: Problem) -> Mode:
        if plan.wanted.copies:
            return self.copies.resolve(plan, problem)
        numerics = plan.numerics
        cheaper = ((self.reverse, numerics.reverse_from), (self.low_rank, numerics.low_rank_from))
        for mode, least in cheaper:
            if problem.q >= least and mode.obstacle(plan, problem) is None:
                return mode
        return self.forward.resolve(plan, problem)
