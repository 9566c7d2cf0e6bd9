"""What a user pays: whole runs of none, local, split and glocal, the exact and its cheaper kin."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.experiments import Scale, whole_run
from benchmarks.measure import Comparison, Entry, Target, costs
from glocal_exp.places import RESULTS

INTERVALS, STRIDE = 2, 4
FIDELITY = RESULTS / "tables" / "fidelity.csv"
TOLERANCE = 0.05  # a setting is as good as the exact one if its fidelity is lower by no more


def build(scale: Scale) -> Entry:
    """Runs of `INTERVALS` intervals each."""
    settings = _settings(scale)
    length = [f"interval={scale.interval}", f"steps={INTERVALS * scale.interval}"]
    ways = [
        replace(whole_run(name, scale, *chosen, *length), facts=partial(fidelity, name))
        for name, chosen in settings.items()
    ]
    whole, by = Comparison("whole run", ways, unit="run"), partial(costs, "whole run")
    none, reverse, forward, one, several, exact, *cheaper = settings
    local = by(reverse, forward)
    targets = [
        Target("whole local / whole none", 4.5, local, by(none)),
        Target("whole split, one h / whole none", 2.5, by(one), by(none)),
        Target("whole split / whole none", 4.5, by(several), by(none)),
        Target("whole glocal / whole local", None, by(exact), local),
        Target("cheapest glocal / whole local", None, by(*cheaper), local),
    ]
    least = fidelity(exact).get("fidelity", np.inf) - TOLERANCE
    if faithful := [name for name in cheaper if fidelity(name).get("fidelity", 0.0) >= least]:
        cheapest = by(*faithful)
        targets.append(Target("cheapest faithful glocal / whole local", 2.5, cheapest, local))
    notes = (
        f"{INTERVALS} intervals of {scale.interval} steps of {scale.batch} images, the "
        f"hypergradients on {scale.validation:,} validation images where not said otherwise; "
        "evaluations are in it, compiling and writing are not. With a stride there are fewer "
        "delays, which span about as many steps.",
        "Fidelity is the share of intervals of real training where the estimate has a positive "
        "cosine to the true global hypergradient (results/tables/fidelity). Faithful is what has "
        f"that of the exact glocal, less {TOLERANCE:g} at most.",
    )
    return Entry("Whole runs", [whole], targets, notes, rounds=5)


def _settings(scale: Scale) -> dict[str, list[str]]:
    """By name, what each run overrides."""
    step = min(STRIDE, max(1, scale.window // (scale.delays + 1)))
    delays = 1 + round((scale.delays - 1) / step)  # that span about as many steps
    glocal = ["method=glocal", f"method.window={scale.window}"]
    every = [*glocal, f"method.delays={scale.delays}"]
    seldom = [*glocal, f"method.delays={delays}", f"method.stride={step}"]
    strided, fewer = f"glocal, stride={step}", f"{scale.subset:,} images"
    subset = f"validation.subset={scale.subset}"
    split = ["method=split", subset]
    reads = f"method.reads={min(5, scale.window // 2)}"  # the default's, where they fit
    return {
        "none": ["method=none"],
        "local, reverse": ["method=local", "hypergradient=reverse"],
        "local, forward": ["method=local", "hypergradient=forward"],
        f"split, one h, reverse, {fewer}": [*split, "method.reads=1", "hypergradient=reverse"],
        f"split, forward, {fewer}": [*split, reads, "hypergradient=forward"],
        "glocal": every,
        strided: seldom,
        f"glocal, {fewer}": [*every, subset],
        f"{strided}, {fewer}": [*seldom, subset],
    }


def fidelity(name: str) -> dict[str, float]:
    """The share of intervals whose estimate points the right way; nothing where not measured."""
    if not FIDELITY.exists():
        return {}
    label = name.split(", ")[0] if name.startswith("local") else name.replace("stride=", "stride ")
    table = pd.read_csv(FIDELITY)
    rows = table[table["estimator"] == label]
    if rows.empty:
        return {}
    return {"fidelity": float(np.average(rows["agreeing"], weights=rows["points"]))}
