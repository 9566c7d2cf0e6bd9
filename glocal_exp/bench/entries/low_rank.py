"""All hyperparameters of the reweighting task: few tangents, one for each, or a sweep back."""

from functools import partial

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Outcome, Target
from glocal_exp.bench.reweighting import Exercise, outcome
from glocal_exp.bench.work import FULL, Scale

INTERVALS = 10
"""Outer steps of training, along local hypergradients, before the second and third comparison."""
STARTS = {
    "at the start": (0, 0.1),
    f"after {INTERVALS} intervals": (INTERVALS, 0.1),  # the paper's meta optimizer
    f"after {INTERVALS} intervals, meta rate 0.01": (INTERVALS, 0.01),
}
"""By name, intervals trained before and the meta optimizer's learning rate."""
TARGETS = (0.05, 0.2, 0.2)
FEW, ALL, BACK = "low rank", "a tangent each", "reverse"
ROUNDS = 2


def build(scale: Scale = FULL) -> Entry:
    """One interval's local hypergradient from three states of training."""
    comparisons, targets = [], []
    for (name, (intervals, rate)), most in zip(STARTS.items(), TARGETS, strict=True):
        exercise = Exercise(scale, intervals, rate)
        ways = (
            _way(FEW, exercise, "low_rank"),
            _way(ALL, exercise, "forward"),
            _way(BACK, exercise, "reverse"),
        )
        comparisons.append(Comparison(name, ways, unit="h"))
        sides = [({(name, way): 1.0},) for way in (FEW, ALL)]
        targets.append(Target(f"{name}: {FEW} / {ALL}", most, *sides))
    return Entry(
        "Many hyperparameters",
        tuple(comparisons),
        tuple(targets),
        (
            f"An interval of {scale.steps} steps of {scale.batch} images of the reweighting task "
            f"(LeNet, 385 hyperparameters) and h at its end on {scale.subset:,} validation images; "
            "low rank with its first, plain pass and the decomposition. Earlier intervals have "
            f"{scale.interval} steps.",
            "The estimated error is the one that low rank records by itself, of h relative to h; "
            "all three agree to 1e-3, or nothing would be printed.",
        ),
        rounds=ROUNDS,
    )


def _way(name: str, exercise: Exercise, mode: str) -> Candidate:
    run = exercise.way(mode)

    def compared() -> Outcome:
        return outcome(run())

    return Candidate(name, run, compared, facts=partial(exercise.facts, mode))
