"""What a user pays: whole runs of none, local and glocal, the exact one and its cheaper kin."""

from functools import partial
from pathlib import Path

import pandas as pd

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Target
from glocal_exp.bench.runs import whole_run
from glocal_exp.bench.work import FULL, Scale

NAME = "whole run"
INTERVALS = 2
STRIDE = 4
ROUNDS = 5
FIDELITY = Path(__file__).parents[3] / "results" / "tables" / "fidelity.csv"
TOLERANCE = 0.05
"""A setting is as good as the exact one if its fidelity is lower by no more."""


def build(scale: Scale = FULL) -> Entry:
    """Runs of `INTERVALS` intervals each."""
    step = min(STRIDE, max(1, scale.window // (scale.delays + 1)))
    delays = 1 + round((scale.delays - 1) / step)  # that span about as many steps
    subset = f"validation.subset={scale.subset}"
    glocal = ["method=glocal", f"method.window={scale.window}"]
    every = [*glocal, f"method.delays={scale.delays}"]
    seldom = [*glocal, f"method.delays={delays}", f"method.stride={step}"]
    strided, fewer = f"stride={step}", f"{scale.subset:,} images"
    settings = {
        "none": ["method=none"],
        "local, reverse": ["method=local", "hypergradient=reverse"],
        "local, forward": ["method=local", "hypergradient=forward"],
        "glocal": every,
        f"glocal, {strided}": seldom,
        f"glocal, {fewer}": [*every, subset],
        f"glocal, {strided}, {fewer}": [*seldom, subset],
    }
    length = [f"interval={scale.interval}", f"steps={INTERVALS * scale.interval}"]
    ways = tuple(
        Candidate(name, whole_run(scale, *chosen, *length), facts=partial(_facts, name))
        for name, chosen in settings.items()
    )
    none, reverse, forward, full, *cheaper = settings
    costs = {name: {(NAME, name): 1.0} for name in settings}
    local = (costs[reverse], costs[forward])
    choices = {"faithful ": [name for name in cheaper if _is_faithful(name, full)], "": cheaper}
    cheapest = [
        Target(
            f"cheapest {kind}glocal / whole local",
            2.5 if kind else None,
            tuple(costs[name] for name in names),
            local,
        )
        for kind, names in choices.items()
        if names
    ]
    return Entry(
        "Whole runs",
        (Comparison(NAME, ways, unit="run"),),
        (
            Target("whole local / whole none", 4.5, local, (costs[none],)),
            Target("whole glocal / whole local", None, (costs[full],), local),
            *cheapest,
        ),
        (
            f"{INTERVALS} intervals of {scale.interval} steps of {scale.batch} images, the "
            f"hypergradients on {scale.validation:,} validation images where not said otherwise; "
            "evaluations are in it, compiling and writing are not. With a stride there are fewer "
            "delays, which span about as many steps.",
            "Fidelity is the share of intervals of real training where the estimate has a positive "
            "cosine to the true global hypergradient (results/tables/fidelity). Faithful is what "
            f"has that of the exact glocal, less {TOLERANCE:g} at most.",
        ),
        rounds=ROUNDS,
    )


def _facts(name: str) -> dict[str, float]:
    found = fidelity(name)
    return {} if found is None else {"fidelity": found}


def _is_faithful(name: str, exact: str) -> bool:
    mine, other = fidelity(name), fidelity(exact)
    return mine is not None and other is not None and mine >= other - TOLERANCE


def fidelity(name: str) -> float | None:
    """The share of intervals whose estimate points the right way; None where not measured."""
    if not FIDELITY.exists():
        return None
    label = name.split(", ")[0] if name.startswith("local") else name.replace("stride=", "stride ")
    table = pd.read_csv(FIDELITY)
    rows = table[table["estimator"] == label]
    if rows.empty or "agreeing" not in rows:
        return None
    return float((rows["agreeing"] * rows["points"]).sum() / rows["points"].sum())
