"""Forward, reverse or low rank: which of them a method can have, and which is cheapest."""

from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Method, is_fresh


def resolve(
    numerics: Numerics,
    method: Method,
    schedule: Schedule,
    q: int,
    *,
    carry_tangents: bool,
    row_space: bool = False,
) -> str:
    """`forward`, `reverse` or `low_rank`; for `auto` the cheapest of what the method can have.

    Args:
        numerics: besides the mode asked for, from where on the platform finds which cheaper.
        row_space: whether the problem has signals and tangent rows.

    Raises:
        UserError: when a mode is asked for that cannot give what the method needs.
    """
    if carry_tangents and is_fresh(method):
        raise UserError(
            "The method starts its tangents anew, so carry_tangents=true has none to carry; leave "
            "it out."
        )
    obstacles = {
        "reverse": _reverse_obstacle(method, schedule, carry_tangents),
        "low_rank": _low_rank_obstacle(method, carry_tangents, row_space),
    }
    if obstacle := obstacles.get(numerics.mode):
        free = [name for name, reason in obstacles.items() if reason is None]
        other = " or ".join(f"hypergradient={name}" for name in (*free, "forward"))
        raise UserError(f"hypergradient={numerics.mode} {obstacle}; choose {other}.")
    if numerics.mode != "auto":
        return numerics.mode
    if q >= numerics.reverse_from and not obstacles["reverse"]:
        return "reverse"
    few = q < numerics.low_rank_from
    return "forward" if few or obstacles["low_rank"] else "low_rank"


def _low_rank_obstacle(method: Method, carry_tangents: bool, row_space: bool) -> str | None:
    """Why no basis can be laid, as the end of a sentence."""
    if is_fresh(method):
        return "lays its directions where a playout starts, and this method differentiates its end"
    if carry_tangents:
        return "takes other directions in each interval, and carry_tangents=true keeps the tangents"
    if not row_space:
        return "needs a task that knows its tangent rows, such as task=reweight, and this has none"
    return None


def _reverse_obstacle(method: Method, schedule: Schedule, carry_tangents: bool) -> str | None:
    """Why a sweep back through one interval is not enough, as the end of a sentence."""
    interval, record = schedule.interval, method.record(schedule.interval)
    if carry_tangents:
        return "has no tangents for carry_tangents=true to carry"
    if len(record) > 1:
        return f"computes one hypergradient an interval and this method looks at {len(record)}"
    if record and record[0] != interval - 1:
        return f"computes an interval's last hypergradient and this method looks at {record[0] + 1}"
    if method.lookahead(1, schedule.outer_steps) > 0 and not is_fresh(method):
        return "goes back through one interval and this method plays out more"
    return None
