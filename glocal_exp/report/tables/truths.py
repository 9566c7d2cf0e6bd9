"""How often estimates have the sign of each derivative of the final loss, and how near its size."""

from collections.abc import Sequence

from glocal_exp.report.artifact import Context
from glocal_exp.report.estimators import estimators
from glocal_exp.report.tables.grouped import Found
from glocal_exp.report.truth_points import points, scores


def by_truth(context: Context, moved: Sequence[str]) -> Found:
    """A row each estimate and point, with what is asked of it in columns.

    Args:
        moved: the hyperparameters.
    """
    found, source = points(context)
    compared, notes = estimators(context.configs, found)
    rows = scores(found, compared).query("hyperparameter in @moved")
    settings = ", ".join(dict.fromkeys(point.setting for point in found))
    seeds = ", ".join(map(str, sorted({point.seed for point in found})))
    words = {"points": len(found), "settings": settings, "of_seeds": seeds}
    order = {"truth": ["held", "plan", "schedule"], "hyperparameter": list(moved)}
    labels = {name: {v: v.replace("_", " ") for v in values} for name, values in order.items()}
    return Found(rows, [*notes, source], words, labels)
