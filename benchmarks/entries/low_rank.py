"""All hyperparameters of the reweighting task: few tangents, one for each, or a sweep back."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from benchmarks.experiments import Scale, experiment, image_splits
from benchmarks.measure import Candidate, Comparison, Entry, Outcome, Target, costs
from glocal_exp.engine import Hooks, Loop, Splits

INTERVALS = 10  # outer steps of training before the second and third comparison
STARTS = {
    "at the start": (0, 0.1, 0.05),
    f"after {INTERVALS} intervals": (INTERVALS, 0.1, 0.2),  # the paper's meta optimizer
    f"after {INTERVALS} intervals, meta rate 0.01": (INTERVALS, 0.01, 0.2),
}
"""By name, intervals trained before, the meta optimizer's learning rate and the target."""
FEW, ALL = "low rank", "a tangent each"
MODES = {FEW: "low_rank", ALL: "forward", "reverse": "reverse"}
FACTS = {"tangents": "low_rank_tangents", "estimated error": "low_rank_error"}
"""What is told of a way, and what the mode calls it in its records."""


def build(scale: Scale) -> Entry:
    """One interval's local hypergradient from three states of training."""
    comparisons, targets = [], []
    for name, (intervals, rate, most) in STARTS.items():
        start = cache(lambda i=intervals, rate=rate: _trained(scale, i, rate))
        ways = [_way(way, mode, scale, start) for way, mode in MODES.items()]
        comparisons.append(Comparison(name, ways, unit="h"))
        sides = costs(name, FEW), costs(name, ALL)
        targets.append(Target(f"{name}: {FEW} / {ALL}", most, *sides))
    notes = (
        f"An interval of {scale.steps} steps of {scale.batch} images of the reweighting task "
        f"(LeNet, 385 hyperparameters) and h at its end on {scale.subset:,} validation images; "
        "low rank with its first, plain pass and the decomposition. Earlier intervals have "
        f"{scale.interval} steps.",
        "The estimated error is the one that low rank records by itself, of h relative to h; "
        "all three agree to 1e-3, or nothing would be printed.",
    )
    return Entry("Many hyperparameters", comparisons, targets, notes, rounds=2)


def _trained(scale: Scale, intervals: int, rate: float) -> dict[str, Any]:
    """Where training stands so many intervals along local hypergradients on."""
    loop = _loop(scale, "reverse", scale.interval, max(1, intervals), rate)
    *_, _ = islice(loop, intervals + 1)  # the first record is that before training
    return {"state": loop.states[0], "phi": loop.hyperparams[0]}


def _way(name: str, mode: str, scale: Scale, start: Callable[[], dict[str, Any]]) -> Candidate:
    """The next interval's hypergradient; facts are what the mode has recorded."""
    loop, diagnostics = cache(lambda: _loop(scale, mode, scale.steps)), {}

    def run() -> Outcome:
        loop().restart()
        loop().snapshots = {0: replace(loop().snapshots[0], **start())}
        *_, record = loop()
        diagnostics.update(record.diagnostics)
        return {"h": record.arrays["hypergradient"]}

    def facts() -> dict[str, float]:
        return {name: diagnostics[key] for name, key in FACTS.items() if key in diagnostics}

    return Candidate(name, run, facts=facts)


def _loop(scale: Scale, mode: str, interval: int, intervals: int = 1, rate: float = 0.1) -> Loop:
    task = ["task=reweight", f"meta_optimizer.learning_rate={rate}", f"interval={interval}"]
    how = ["method=local", f"hypergradient={mode}", f"steps={intervals * interval}"]
    made = experiment(scale, *task, *how)
    images = image_splits(made, scale)
    subset = {name: part[: scale.subset] for name, part in images.validation.items()}
    parts, hooks = {0: Splits(images.train, subset)}, Hooks(keep=lambda outer_step: True)
    optimizer = made.meta_optimizer
    return Loop(made.problem, parts, made.plan, meta_optimizer=optimizer, hooks=hooks)
