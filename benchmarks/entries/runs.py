"""What a user pays: whole runs of none, local, split and glocal, the exact and its cheaper kin."""

from functools import partial

from benchmarks.experiments import Scale, whole_run
from benchmarks.measure import Comparison, Entry, Target, costs

INTERVALS, STRIDE = 2, 4


def build(scale: Scale) -> Entry:
    """Runs of `INTERVALS` intervals each."""
    settings = _settings(scale)
    length = [f"interval={scale.interval}", f"steps={INTERVALS * scale.interval}"]
    ways = [whole_run(name, scale, *chosen, *length) for name, chosen in settings.items()]
    whole, by = Comparison("whole run", ways, unit="run"), partial(costs, "whole run")
    none, reverse, forward, one, several, exact, *cheaper = settings
    local = by(reverse, forward)
    targets = [
        Target("whole local / whole none", 4.5, local, by(none)),
        Target("whole split, one h / whole none", 2.5, by(one), by(none)),
        Target("whole split / whole none", 4.5, by(several), by(none)),
        Target("whole glocal / whole local", None, by(exact), local),
        Target("cheapest glocal / whole local", 2.5, by(*cheaper), local),
    ]
    notes = (
        f"{INTERVALS} intervals of {scale.interval} steps of {scale.batch} images, the "
        f"hypergradients on {scale.validation:,} validation images where not said otherwise; "
        "evaluations are in it, compiling and writing are not. With a stride there are fewer "
        "delays, which span about as many steps. How often each points the right way: "
        "results/tables/fidelity.",
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
    return {
        "none": ["method=none"],
        "local, reverse": ["method=local", "hypergradient=reverse"],
        "local, forward": ["method=local", "hypergradient=forward"],
        f"split, one h, reverse, {fewer}": [*split, "method.reads=1", "hypergradient=reverse"],
        f"split, forward, {fewer}": [*split, "hypergradient=forward"],
        "glocal": every,
        strided: seldom,
        f"glocal, {fewer}": [*every, subset],
        f"{strided}, {fewer}": [*seldom, subset],
    }
