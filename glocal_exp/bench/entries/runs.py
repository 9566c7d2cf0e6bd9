"""What a user pays: whole runs of none, local and glocal, the exact one and its cheaper kin."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Target
from glocal_exp.bench.runs import whole_run
from glocal_exp.bench.work import FULL, Scale

NAME = "whole run"
INTERVALS = 2
STRIDE = 4
ROUNDS = 5
FIDELITY = Path(__file__).parents[3] / "results" / "benchmarks" / "fidelity.json"
"""By candidate, the cosine of its estimates to exact global hypergradients; if measured."""


def _fidelity(measured: Mapping[str, float], name: str) -> dict[str, float]:
    return {"fidelity": measured[name]} if name in measured else {}


def build(scale: Scale = FULL) -> Entry:
    """Runs of `INTERVALS` intervals each."""
    window = [f"method.window={scale.window}", f"method.delays={scale.delays}"]
    stride = f"method.stride={min(STRIDE, max(1, scale.window // (scale.delays + 1)))}"
    subset = f"validation.subset={scale.subset}"
    glocal = ["method=glocal", *window]
    settings = {
        "none": ["method=none"],
        "local, reverse": ["method=local", "hypergradient=reverse"],
        "local, forward": ["method=local", "hypergradient=forward"],
        "glocal": glocal,
        f"glocal, {stride[7:]}": [*glocal, stride],
        f"glocal, {scale.subset:,} images": [*glocal, subset],
        f"glocal, {stride[7:]}, {scale.subset:,} images": [*glocal, stride, subset],
    }
    length = [f"interval={scale.interval}", f"steps={INTERVALS * scale.interval}"]
    measured = json.loads(FIDELITY.read_text()) if FIDELITY.exists() else {}
    ways = tuple(
        Candidate(
            name,
            whole_run(scale, *chosen, *length),
            facts=partial(_fidelity, measured, name),
        )
        for name, chosen in settings.items()
    )
    none, reverse, forward, full, *cheaper = ({(NAME, name): 1.0} for name in settings)
    return Entry(
        "Whole runs",
        (Comparison(NAME, ways, unit="run"),),
        (
            Target("whole local / whole none", 4.5, (reverse, forward), (none,)),
            Target("whole glocal / whole local", None, (full,), (reverse, forward)),
            Target("cheapest glocal / whole local", 2.5, tuple(cheaper), (reverse, forward)),
        ),
        (
            f"{INTERVALS} intervals of {scale.interval} steps of {scale.batch} images, the "
            f"hypergradients on {scale.validation:,} validation images where not said otherwise; "
            "evaluations are in it, compiling and writing are not.",
            "Fidelity is the cosine to the global hypergradient, where it has been measured.",
        ),
        rounds=ROUNDS,
    )
