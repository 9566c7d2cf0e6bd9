"""Cost and gain by method and meta optimizer: the numbers behind figure=pareto."""

from collections.abc import Mapping, Sequence

from glocal_exp.report import caption
from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import signed
from glocal_exp.report.pareto import gains
from glocal_exp.report.tables.grouped import Found
from glocal_exp.report.tables.methods import printed


def costs_and_gains(
    context: Context, experiment: str, meta_optimizers: Mapping[str, str], methods: Sequence[str],
    starts: Sequence[float],
) -> Found:  # fmt: skip
    """A row a method of each meta optimizer; see `report.pareto.gains`."""
    rows, found = gains(context, experiment, meta_optimizers, methods, starts)
    labels = {"method": printed(rows.to_dict("records")), "meta_optimizer": meta_optimizers}
    labels |= {"front": {True: "on it", False: ""}}
    words = {"starts": ", ".join(f"{start:g}" for start in starts)}
    return Found(rows, [caption.describe(found[0].selection, context)], words, labels)


def gain(mean: float, low: float, high: float) -> str:
    """As printed."""
    return f"{signed(mean)} [{signed(low)}, {signed(high)}]" if low == low else signed(mean)
