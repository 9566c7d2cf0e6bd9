"""What a run is to do, problem and examples aside; settings that do not fit are refused here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Method, Wanted


class Problem(NamedTuple):
    """What a mode has to know of the problem before anything is computed."""

    q: int  # hyperparameters
    has_rows: bool  # whether it is a `RowSpaceProblem`


class Choice(ABC):
    """What a config names: a mode, or what chooses one; a frozen dataclass of settings."""

    name: ClassVar[str]  # as users type it

    def obstacle(self, plan: "Plan", problem: Problem | None = None) -> str | None:
        """Why it cannot serve a plan, as the end of a sentence that starts with its name.

        Asked twice: before anything of the problem is known, and then with it. By default all is
        served but losses of perturbed copies, which no derivative gives, the implicit derivative,
        which is none of training, and the distilled one, which is of a single step.
        """
        if plan.wanted.implicit:
            return "differentiates training and this method asks for the implicit derivative"
        if plan.wanted.distilled:
            return "differentiates training and this method asks for one product in its place"
        return "trains no copies, and this method compares some" if plan.wanted.copies else None

    def refuse(self, obstacle: str | None) -> None:
        """Raise a `UserError` that names the obstacle, if there is one."""
        if obstacle:
            raise UserError(
                f"hypergradient={self.name} {obstacle}; choose hypergradient=auto, which takes the "
                "cheapest that can."
            )

    @abstractmethod
    def resolve(self, plan: "Plan", problem: Problem) -> Any:
        """The `Mode` that does the work.

        Raises:
            UserError: when it cannot serve the plan with this problem.
        """


def _forward() -> Choice:
    from glocal_exp.engine.modes.forward import Forward  # which is made of plans itself

    return Forward()


@dataclass(frozen=True)
class Plan:
    """A run's lengths, its method, how its hypergradients are computed, and in which pieces.

    Raises:
        UserError: when these do not fit each other.
    """

    schedule: Schedule
    method: Method
    mode: Choice = field(default_factory=_forward)  # forward mode by default
    numerics: Numerics = field(default_factory=Numerics)
    # keep Z across intervals instead of starting each from zero, as a persistent method does anyway
    carry_tangents: bool = False
    stop_when_diverged: bool = False  # end a seed when its weights are no longer finite

    def __post_init__(self):
        for name, kind, such in (("method", Method, "Local()"), ("mode", Choice, "Forward()")):
            if not isinstance(getattr(self, name), kind):
                raise UserError(
                    f"{name}={getattr(self, name)!r} is no {name}; give an object of one "
                    f"of its classes, such as {such}."
                )
        anew = self.method.fresh or not (self.method.carries and self.method.keeps)
        if self.carry_tangents and anew:
            raise UserError(
                "The method starts its tangents anew, so carry_tangents=true has none to carry; "
                "leave it out."
            )
        self.mode.refuse(self.mode.obstacle(self))

    @cached_property
    def wanted(self) -> Wanted:
        """What is measured in the last interval of an outer step."""
        return self.method.wanted(self.schedule.interval)

    @property
    def carries(self) -> bool:
        """Whether Z is kept from interval to interval."""
        return self.carry_tangents or self.method.persistent

    @property
    def plays_out(self) -> bool:
        """Whether derivatives reach over more than one interval."""
        return not self.method.fresh and self.lookahead(1) > 0

    def lookahead(self, outer_step: int) -> int:
        """Intervals that an outer step plays out besides the one it is in."""
        return self.method.intervals_ahead(outer_step, self.schedule.outer_steps)
