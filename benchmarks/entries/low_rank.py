"""All hyperparameters of the reweighting task: few tangents, one for each, or a sweep back."""

from benchmarks.comparison import Comparison, Entry, Target, costs
from benchmarks.runs import Reweighting
from benchmarks.work import FULL, Scale

INTERVALS = 10  # outer steps of training before the second and third comparison
STARTS = {
    "at the start": (0, 0.1, 0.05),
    f"after {INTERVALS} intervals": (INTERVALS, 0.1, 0.2),  # the paper's meta optimizer
    f"after {INTERVALS} intervals, meta rate 0.01": (INTERVALS, 0.01, 0.2),
}
"""By name, intervals trained before, the meta optimizer's learning rate and the target."""
FEW, ALL = "low rank", "a tangent each"
MODES = {FEW: "low_rank", ALL: "forward", "reverse": "reverse"}


def build(scale: Scale = FULL) -> Entry:
    """One interval's local hypergradient from three states of training."""
    comparisons, targets = [], []
    for name, (intervals, rate, most) in STARTS.items():
        task = Reweighting(scale, intervals, rate)
        ways = tuple(task.way(way, mode) for way, mode in MODES.items())
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
    return Entry("Many hyperparameters", tuple(comparisons), tuple(targets), notes, rounds=2)
