"""What a run is to do, problem and examples aside; settings that do not fit are refused here."""

from dataclasses import dataclass, field
from functools import cached_property

from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.modes.mode import Choice
from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Method, Wanted


@dataclass(frozen=True)
class Plan:
    """A run's lengths, its method, how its hypergradients are computed, and in which pieces.

    Attributes:
        carry_tangents: keep Z across intervals instead of starting each from zero.
        stop_when_diverged: end a seed when its weights are no longer finite.

    Raises:
        UserError: when these do not fit each other.
    """

    schedule: Schedule
    method: Method
    mode: Choice = field(default_factory=Forward)
    numerics: Numerics = field(default_factory=Numerics)
    carry_tangents: bool = False
    stop_when_diverged: bool = False

    def __post_init__(self):
        for name, kind in (("method", Method), ("mode", Choice)):
            if not isinstance(getattr(self, name), kind):
                raise UserError(
                    f"{name}={getattr(self, name)!r} is no {name}; give an object of one "
                    f"of its classes, such as {'Local()' if kind is Method else 'Forward()'}."
                )
        if self.carry_tangents and self.method.fresh:
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
    def plays_out(self) -> bool:
        """Whether derivatives reach over more than one interval."""
        return not self.method.fresh and self.lookahead(1) > 0

    def lookahead(self, outer_step: int) -> int:
        """Intervals that an outer step plays out besides the one it is in."""
        return self.method.lookahead(outer_step, self.schedule.outer_steps)
