"""Forward or reverse: which of the two a method can have, and which is cheaper."""

from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Method

REVERSE_FROM = 2
"""`auto` takes reverse mode from so many hyperparameters on: a step with q tangents costs 1 + 2.1 q
plain steps, a swept one 3.3 (LeNet on one core, `results/benchmarks/LOG.md`)."""


def resolve(
    numerics: Numerics, method: Method, schedule: Schedule, q: int, *, carry_tangents: bool
) -> str:
    """`forward` or `reverse`, for `auto` the cheaper of what the method can have.

    Raises:
        UserError: when reverse mode is asked for and cannot give what the method needs.
    """
    obstacle = _obstacle(method, schedule, carry_tangents)
    if numerics.mode == "reverse" and obstacle:
        raise UserError(f"hypergradient=reverse {obstacle}; choose hypergradient=forward.")
    if numerics.mode == "auto":
        return "reverse" if q >= REVERSE_FROM and not obstacle else "forward"
    return numerics.mode


def _obstacle(method: Method, schedule: Schedule, carry_tangents: bool) -> str | None:
    """Why a sweep back through one interval is not enough, as the end of a sentence."""
    looked_at = len(method.record(schedule.interval))
    if carry_tangents:
        return "has no tangents for carry_tangents=true to carry"
    if looked_at > 1:
        return f"computes one hypergradient an interval and this method looks at {looked_at}"
    if method.lookahead(1, schedule.outer_steps) > 0:
        return "goes back through one interval and this method plays out more"
    return None
